// What decides, records and holds sessions: everything behind the way in, in the order in which each part needs the ones
// before it.
import { join } from 'node:path';
import { type ActivePolicy, createActivePolicy } from '../activation/active.ts';
import { remember } from '../activation/open.ts';
import { readsArguments, type Untried } from '../activation/trial.ts';
import { createMetrics, type Metrics } from '../admin/metrics/metrics.ts';
import { watchOperators } from '../admin/tokens.ts';
import { type Alerts, openAlerts } from '../alerts/open.ts';
import type { AuditEvents } from '../audit/events/events.ts';
import { type Audit, openAudit } from '../audit/open.ts';
import type { OpsLog } from '../audit/ops.ts';
import { accountClaims } from '../backend/accounts.ts';
import { openBackends } from '../backend/open.ts';
import type { BackendPort } from '../backend/port.ts';
import type { Config } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import type { Closing } from '../core/closing.ts';
import { preparePrivateFolder } from '../core/files/private-file.ts';
import { trustFolders } from '../core/files/secret-file.ts';
import { refuseUnverifiedTls } from '../core/hardening.ts';
import { VERSION } from '../core/paths.ts';
import { openWatchdog, type Watchdog } from '../decision/guard/watchdog.ts';
import type { Limits, Policy } from '../decision/open.ts';
import { type Identity, openIdentity } from '../identity/open.ts';
import { type Keyring, openKeyring } from '../keyring/keyring.ts';
import { lockFolder } from '../life/lock.ts';
import { configurationRevision } from '../life/replicas.ts';
import type { SessionManager } from '../session/contract.ts';
import { CONTROL_AGE_MS } from '../session/control.ts';
import type { OpenEntries } from '../session/end/open-entries.ts';
import type { SessionEvents } from '../session/events.ts';
import { createSessionManager } from '../session/manager.ts';
import { withPlaces } from '../session/use/places.ts';
import { openStore } from '../store/open.ts';
import { openEntriesFile } from '../store/open-entries-file.ts';
import type { Store } from '../store/store.ts';
import { watchLogins } from './logins.ts';

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

const STATE_PROBLEM = 'a file in the state folder cannot be used';

type Optional = 'progress' | 'storeTime' | 'reread';
type Context = Required<Omit<ConnectorOptions, Optional>> & Pick<ConnectorOptions, Optional>;
export type Inner = Awaited<ReturnType<typeof openInner>>;

/** What decides, records and holds sessions: everything behind the way in. */
export async function openInner(context: Context, closing: Closing) {
  const { config, env, clock, ops } = context;
  const problemOf = (message: string) => (problem: string) => ops.error(message, { problem });
  refuseUnverifiedTls(env);
  trustFolders(config.secrets.trusted_dirs);
  const operators = config.admin && watchOperators(config.admin, env);
  preparePrivateFolder(config.state_dir);
  closing.add(await lockFolder(config.state_dir));
  const deciding = await openDeciding(context, closing);
  const { policy } = deciding;
  const keyring = closing.add(
    openKeyring({
      source: config.keyring,
      env,
      shared: config.store.redis !== undefined,
      clock,
      onProblem: problemOf('the keyring cannot be used as it is'),
    }),
  );
  const reasons = Object.keys(policy.present.manifest.reasons);
  const metrics = createMetrics(VERSION, { backends: Object.keys(config.backends), reasons });
  const alerts = openAlerts({
    ...{ config, env, clock, policy: () => policy.present, shared: config.store.redis !== undefined },
    onProblem: problemOf('a file of the alerts'),
  });
  // Closed after the log: what is raised while the rest is closed is kept as well.
  closing.add(alerts);
  const trail = closing.add(openTrail(context, policy, metrics, alerts));
  const { log: audit, events } = trail;
  const store = closing.add(await openKept(context, keyring, events, metrics));
  alerts.start(store.alerts, store.clock, events);
  closing.add({ close: alerts.pause });
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
  const ownAccounts = Object.entries(config.backends).flatMap(([name, { accounts }]) => (accounts ? [name] : []));
  const logins = watchLogins(events, ops, new Set(ownAccounts));
  const ports = withPlaces(backends.ports, store.quotas);
  const sessions = openSessions({ store, ports, keyring, entries, events: logins.events, policy });
  closing.add({ close: sessions.start() });
  const identity = closing.add(await openClients({ ...context, keyring, store, problemOf }));
  warnOfRoles(ops, identity.roles, policy.present);
  policy.onSwap((present) => {
    warnOfRoles(ops, identity.roles, present);
    metrics.mayDeny(Object.keys(present.manifest.reasons));
  });
  return {
    ...context,
    ...deciding,
    operators,
    keyring,
    metrics,
    alerts,
    audit,
    trail,
    events,
    store,
    backends,
    ports,
    sessions,
    logins,
    identity,
  };
}

/** The store, whose troubles are told. */
function openKept(
  { config, clock, env, ops, storeTime }: Context,
  keyring: Keyring,
  events: AuditEvents,
  metrics: Metrics,
) {
  return openStore({
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
    onProblem: (problem) => ops.error(STATE_PROBLEM, { problem }),
    onTrip: metrics.asked,
    onLimits: (needed, heap) => warnOfLimits(ops, needed, heap),
    ...(storeTime && { storeTime }),
  });
}

/** The decision log. Each record names the configuration and the policy. */
function openTrail(context: Context, policy: ActivePolicy, metrics: Metrics, alerts: Alerts): Audit {
  const trail = openAudit({
    ...{ ...context, ...metrics, alerts, configuration: configurationRevision(context.config) },
    counting: (log) => alerts.listening(metrics.counting(log)),
  });
  trail.log.identify({ policy: policy.present });
  policy.onSwap((present) => trail.log.identify({ policy: present }));
  return trail;
}

/** The policy that decides, and the thread that ends this process where a rule of it never ends. */
async function openDeciding({ config, env, clock, ops, progress }: Context, closing: Closing) {
  const watchdog = closing.add(
    openWatchdog({
      file: join(config.state_dir, 'policy-held.json'),
      tools: Object.keys(config.tools),
      onProblem: (problem) => ops.error('a rule that never ends', { problem }),
    }),
  );
  const untried: Untried = new Set();
  const limits = limitsOf(config, watchdog, untried);
  const loading = { config, opa: { env, ...(progress && { progress }) }, warn: ops.warn };
  const remembered = await remember(loading, limits, clock);
  const policy = createActivePolicy(remembered.present);
  const { present, kept } = remembered;
  if (readsArguments(present) && !kept.isTried(present.revision)) untried.add(present.revision);
  return { policy, limits, watchdog, untried, remembered };
}

const limitsOf = ({ policy }: Config, { held, pulseOf }: Watchdog, untried: Untried): Limits => ({
  budget_ms: policy.budget_ms,
  guard({ revision, wasmSha256 }) {
    const before = held(wasmSha256);
    const pulse = pulseOf({ revision, wasm_sha256: wasmSha256 });
    return { ms: policy.guard_ms, always: () => before || untried.has(revision), pulse };
  },
});

interface ClientParts extends Context {
  keyring: Keyring;
  store: Store;
  problemOf: (message: string) => (problem: string) => void;
}

function openClients({ config, env, clock, ops, keyring, store, problemOf }: ClientParts): Promise<Identity> {
  const { control, proofs } = store;
  return openIdentity({
    identity: config.identity,
    env,
    keep: accountClaims(config.backends),
    clock,
    sealer: keyring.sealer('nonce'),
    epoch: async () => (await control.read(CONTROL_AGE_MS)).epoch,
    proofs,
    onProblem: problemOf('the client file cannot be used; the last good one stays in force'),
    onReach(failure) {
      if (failure === undefined) ops.info('the keys of the issuer can be fetched again');
      else ops.warn('the keys of the issuer cannot be fetched; those that are known go on', { problem: failure });
    },
  });
}

interface SessionParts {
  store: Store;
  ports: ReadonlyMap<string, BackendPort>;
  keyring: Keyring;
  entries: OpenEntries;
  events: SessionEvents;
  policy: ActivePolicy;
}

function openSessions({ store, ports, keyring, entries, events, policy }: SessionParts): SessionManager {
  return createSessionManager({
    store: store.sessions,
    limits: store.limits,
    quotas: store.quotas,
    control: store.control,
    backends: ports,
    sealer: keyring.sealer('session'),
    fingerprint: keyring.fingerprint,
    entries,
    clock: store.clock,
    events,
    endsAt: (record) => policy.present.endsAt(record),
  });
}

/** A process without memory for as many clients as it may remember would end before it refuses the next one. */
const warnOfLimits = (ops: OpsLog, needed_mb: number, heap_mb: number): void =>
  ops.warn('limits.clients may need more memory than this process has: lower it, or start node with more', {
    needed_mb,
    heap_mb,
    mend: `--max-old-space-size=${needed_mb}`,
  });

/** A client with a misspelt role may call nothing, and nobody would know why. */
function warnOfRoles(ops: OpsLog, roles: ReadonlySet<string>, { settings }: Policy): void {
  const known = new Set([...Object.keys(settings.access.roles), ...Object.keys(settings.roles ?? {})]);
  for (const role of roles)
    if (!known.has(role))
      ops.warn('clients have a role that the policy does not know; see access.roles in data.yaml', { role });
}
