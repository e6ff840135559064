// The composition root: opens each part from the configuration, in the order of the picture in
// docs/architecture.md read from the right, and closes them again the other way round.
import { join } from 'node:path';
import { createMetrics, type Metrics } from './admin/metrics.ts';
import { openAdmin } from './admin/open.ts';
import { createSessionListing } from './admin/sessions.ts';
import { watchOperators } from './admin/tokens.ts';
import type { Act, AuditEvents } from './audit/events.ts';
import { openAudit } from './audit/open.ts';
import { createOpsLog, type OpsLog } from './audit/ops.ts';
import { accountClaims } from './backend/accounts.ts';
import { type Backends, openBackends } from './backend/open.ts';
import { plaintextOf } from './config/check/plaintext.ts';
import type { Config } from './config/load.ts';
import { type Clock, createSystemClock } from './core/clock.ts';
import { type Closing, createClosing } from './core/closing.ts';
import { preparePrivateFolder } from './core/files/private-file.ts';
import type { Reloadable } from './core/files/reloadable.ts';
import { trustFolders } from './core/files/secret-file.ts';
import { refuseUnverifiedTls } from './core/hardening.ts';
import { VERSION } from './core/paths.ts';
import { endOfSession } from './decision/lifetimes.ts';
import { openPolicy, type Policy } from './decision/open.ts';
import { countCalls } from './enforcement/calls.ts';
import { createPipeline } from './enforcement/pipeline.ts';
import { MCP_PATH } from './http/checks/mcp.ts';
import { connectionsWithin, descriptorLimit } from './http/listener/connections.ts';
import { type ListenOptions, listen } from './http/listener/listener.ts';
import { openHttp, proxyTest } from './http/open.ts';
import { readinessOf } from './http/readiness.ts';
import { createGuessing, type Guessing } from './identity/guessing.ts';
import { openIdentity } from './identity/open.ts';
import { type Keyring, openKeyring } from './keyring/keyring.ts';
import { createLive, type Live } from './life/live.ts';
import { lockFolder } from './life/lock.ts';
import { type Operations, openOperations } from './life/open.ts';
import type { Reloaded } from './life/reload.ts';
import { beginStop, type Stop, type StopParts } from './life/stop.ts';
import { openMcp } from './mcp/open.ts';
import { enforcedTools } from './mcp/tools.ts';
import { recompileWith } from './policy/recompile.ts';
import { settingsCheck } from './policy/settings-names.ts';
import { startCheck } from './policy/start.ts';
import type { SessionManager } from './session/contract.ts';
import { CONTROL_AGE_MS } from './session/control.ts';
import type { OpenEntries } from './session/end/open-entries.ts';
import { createSessionManager } from './session/manager.ts';
import { openStore } from './store/open.ts';
import { openEntriesFile } from './store/open-entries-file.ts';
import type { Store } from './store/store.ts';

export interface ConnectorOptions {
  config: Config;
  env?: NodeJS.ProcessEnv;
  clock?: Clock;
  /** What time it is for Redis, in milliseconds since 1970: left out except in tests that move the clock. */
  storeTime?: () => number;
  ops?: OpsLog;
  /** Told one line before something slow begins. */
  progress?: (line: string) => void;
  /** Reads the configuration again, for a reload. Throws an OperatorError when it cannot be used. */
  reread?: () => Config;
}

export interface Connector {
  /** URL of the MCP endpoint on this machine. */
  readonly url: string;
  /** URL of the admin listener, when one is configured. */
  readonly adminUrl: string | undefined;
  readonly policy: Pick<Policy, 'revision' | 'wasmSha256' | 'unverified'>;
  /** Waits until retired backend sessions are logged out and all records are written. */
  settled(): Promise<void>;
  /**
   * Stops taking calls, lets those in flight finish, logs backend sessions out, closes the log; all of it within
   * `limits.shutdown_seconds`. `delay`: as told by a signal, so it goes on taking calls for `shutdown.delay_seconds`,
   * in which whoever sends them notices that it is not ready any more.
   */
  close(options?: { delay: boolean }): Promise<void>;
  /** Once it is closing: waits for nothing any more. */
  hurry(): void;
  /** Reads again what can be read again: all of it, or nothing where a part cannot be used. */
  reload(act: Act): Reloaded;
}

/** Starts a connector. Rejects with an OperatorError when something must be fixed first; nothing stays open then. */
export async function startConnector(options: ConnectorOptions): Promise<Connector> {
  const closing = createClosing();
  try {
    const { env = process.env, clock = createSystemClock(), ops = createOpsLog() } = options;
    return await openOuter(await openInner({ ...options, env, clock, ops }, closing), closing);
  } catch (thrown) {
    await closing.close();
    throw thrown;
  }
}

const STATE_PROBLEM = 'a file in the state folder cannot be used';

type Optional = 'progress' | 'storeTime' | 'reread';
type Context = Required<Omit<ConnectorOptions, Optional>> & Pick<ConnectorOptions, Optional>;
type Inner = Awaited<ReturnType<typeof openInner>>;

/** What decides, records and holds sessions: everything behind the way in. */
async function openInner(context: Context, closing: Closing) {
  const { config, env, clock, ops, progress } = context;
  const problemOf = (message: string) => (problem: string) => ops.error(message, { problem });
  refuseUnverifiedTls(env);
  trustFolders(config.secrets.trusted_dirs);
  const operators = config.admin && watchOperators(config.admin, env);
  preparePrivateFolder(config.state_dir);
  closing.add(await lockFolder(config.state_dir));
  const opa = { env, ...(progress && { progress }) };
  const checkSettings = settingsCheck(config, (tool) =>
    ops.warn('no role lists this tool, so every call of it is denied; see access.roles in data.yaml', { tool }),
  );
  const check = startCheck(config, opa, ops.warn);
  const policy = await openPolicy({ ...config.policy, recompile: recompileWith(opa), checkSettings, check });
  const keyring = closing.add(
    openKeyring({
      source: config.keyring,
      env,
      shared: config.store.redis !== undefined,
      clock,
      onProblem: problemOf('the keyring cannot be used as it is'),
    }),
  );
  const metrics = createMetrics(VERSION);
  const { log: audit, events } = closing.add(openAudit(config.audit, clock, metrics.counting));
  const store = closing.add(
    await openStore({
      config,
      clock,
      env,
      keyring: keyring.name,
      onEpoch: events.storeEpoch,
      onEviction: () => ops.error('the store may drop keys to make room; set maxmemory-policy noeviction'),
      onOtherKeyring(other) {
        events.otherKeyring(other);
        if (other) ops.error('the other replicas on this store have another keyring; copy theirs to keyring_file');
      },
      onWentBack: () => events.storeWentBack(),
      onManyRevocations: events.manyRevocations,
      onSkew: events.clockAgrees,
      onProblem: problemOf(STATE_PROBLEM),
      onLimits: (needed, heap) => warnOfLimits(ops, needed, heap),
      ...(context.storeTime && { storeTime: context.storeTime }),
    }),
  );
  const { control, proofs } = store;
  const backends = closing.add(
    openBackends({
      config,
      env,
      clock,
      onProblem: problemOf('a file of accounts cannot be used; the last good one stays in force'),
      onExchange: metrics.exchange,
    }),
  );
  const entries = openEntriesFile(join(config.state_dir, 'open-logins.jsonl'), problemOf(STATE_PROBLEM));
  const sessions = openSessions({ store, backends, keyring, entries, events, policy });
  closing.add({ close: sessions.start() });
  const identity = closing.add(
    await openIdentity({
      identity: config.identity,
      env,
      keep: accountClaims(config.backends),
      clock,
      sealer: keyring.sealer('nonce'),
      epoch: async () => (await control.read(CONTROL_AGE_MS)).epoch,
      proofs,
      onProblem: problemOf('the client file cannot be used; the last good one stays in force'),
    }),
  );
  return { ...context, operators, policy, keyring, metrics, audit, events, store, backends, sessions, identity };
}

interface SessionParts {
  store: Store;
  backends: Backends;
  keyring: Keyring;
  entries: OpenEntries;
  events: AuditEvents;
  policy: Policy;
}

function openSessions({ store, backends, keyring, entries, events, policy }: SessionParts): SessionManager {
  return createSessionManager({
    store: store.sessions,
    limits: store.limits,
    control: store.control,
    backends: backends.ports,
    sealer: keyring.sealer('session'),
    fingerprint: keyring.fingerprint,
    entries,
    clock: store.clock,
    events: events.session,
    endsAt: endOfSession(policy.settings),
  });
}

/** A process without memory for as many clients as it may remember would end before it refuses the next one. */
const warnOfLimits = (ops: OpsLog, needed_mb: number, heap_mb: number): void =>
  ops.warn('limits.clients may need more memory than this process has: lower it, or start node with more', {
    needed_mb,
    heap_mb,
    mend: `--max-old-space-size=${needed_mb}`,
  });

function listenOptions({
  config,
  ops,
  metrics,
}: Pick<Context, 'config' | 'ops'> & { metrics: Metrics }): ListenOptions {
  const { connections: asked, connections_per_source: perSource, request_seconds, shutdown_seconds } = config.limits;
  const total = connectionsWithin(asked, descriptorLimit());
  if (total < asked)
    ops.warn('fewer connections than limits.connections: this process may open too few files (ulimit -n)', {
      connections: total,
    });
  return {
    ...config.listen,
    requestSeconds: request_seconds,
    graceSeconds: shutdown_seconds,
    connections: { total, perSource, isProxy: proxyTest(config) },
    onTurned: metrics.turned,
  };
}

interface ForOperators {
  live: Live;
  readiness: () => Promise<readonly string[]>;
  guessing: Guessing;
  operations: Operations;
}

/** The listener of the operators, when one is configured. */
async function openOperators(inner: Inner, { live, readiness, guessing, operations }: ForOperators) {
  const { config, operators, store, policy } = inner;
  if (!config.admin || !operators) return undefined;
  return openAdmin({
    ...inner,
    ...operations,
    config: { ...config.admin, prefixes: config.network_prefix },
    allowedHosts: () => live.config.admin?.allowed_hosts ?? [],
    operators: operators.present,
    guessing,
    readiness,
    reload: async (act) => operations.reload(act),
    listing: createSessionListing({
      store: store.sessions,
      facts: store.facts,
      settings: policy.settings,
      endsAt: endOfSession(policy.settings),
      now: () => store.clock.now(),
    }),
  });
}

/** The way in: pipeline, MCP, HTTP, and the admin listener. */
async function openOuter(inner: Inner, closing: Closing): Promise<Connector> {
  const { config, clock, policy, keyring, metrics, audit, events, store, backends, sessions, identity } = inner;
  const { facts, control } = store;
  const { evaluator } = policy;
  const tools = enforcedTools(config.tools);
  const { fingerprint } = keyring;
  const ports = { tools, backends: backends.ports, facts, evaluator, policy, audit, sessions, clock, fingerprint };
  const { pipeline, settled } = countCalls(createPipeline(ports));
  let stopping = false;
  const readiness = readinessOf({
    stopping: () => !stopping,
    audit: () => audit.failure === undefined,
    keyring: () => !keyring.stale,
    store: () => store.ready(),
    clock: () => store.clockAgrees,
  });
  const { live, reloadable } = createLive(config, inner.reread);
  const guessing = createGuessing(
    () => live.config.limits.failures_per_minute,
    () => clock.now(),
  );
  const sealer = keyring.sealer('handle');
  const endpoint = openMcp({ ...inner, sealer, facts, control, evaluator, pipeline, guessing, clock: store.clock });
  const listener = closing.add(await listen(listenOptions(inner)));
  metrics.watch({ health: backends.health, notReady: readiness, store, listener });
  const { url } = listener;
  listener.serve(openHttp({ ...inner, url, endpoint, guessing, readiness, allowed: () => live.config }).callback());
  const { revision, wasmSha256, unverified } = policy;
  const verified = config.policy.require === 'none' && unverified !== undefined ? 'unverified' : 'compared';
  // The configuration comes first, because others look at what was read of it.
  const parts: Reloadable[] = [
    reloadable,
    ...listener.reloadable,
    ...(inner.operators ? [inner.operators.reloadable(() => live.latest.admin)] : []),
    ...identity.reloadable,
    ...backends.reloadable,
    keyring.reloadable,
  ];
  const operations = closing.add(
    openOperations({ ...inner, live, readiness, parts, policy: { revision, wasmSha256, verdict: verified } }),
  );
  const admin = await openOperators(inner, { live, readiness, guessing, operations });
  if (admin) parts.push(...closing.add(admin).reloadable);
  const plaintext = plaintextOf(config).join(', ');
  await events.lifecycle('sys_startup', {
    ...{ revision, wasm_sha256: wasmSha256, policy: verified, url },
    ...(plaintext !== '' && { plaintext }),
  });

  const stopped: StopParts = {
    retreat() {
      stopping = true;
      listener.drain();
    },
    closeDoor: listener.close,
    settled,
    cutShort: endpoint.cutShort,
    cutConnections: listener.cut,
    endSessions: sessions.close,
    async last(report) {
      await events.lifecycle('sys_shutdown', { ...report });
      await closing.close();
    },
  };
  let stop: Stop | undefined;
  return {
    url: `${url}${MCP_PATH}`,
    adminUrl: admin?.url,
    policy: { revision, wasmSha256, unverified: verified === 'unverified' ? unverified : undefined },
    async settled() {
      await sessions.settled();
      await audit.flushed();
    },
    close({ delay } = { delay: false }) {
      const { shutdown, limits } = live.config;
      stop ??= beginStop(stopped, {
        delayMs: delay ? shutdown.delay_seconds * 1000 : 0,
        boundMs: limits.shutdown_seconds * 1000,
      });
      return stop.ended;
    },
    hurry: () => stop?.hurry(),
    reload: operations.reload,
  };
}
