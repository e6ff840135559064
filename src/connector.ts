// The composition root: opens each part from the configuration, in the order of the picture in
// docs/architecture.md read from the right, and closes them again the other way round.

import { join } from 'node:path';
import { type Activation, createActivation } from './activation/activation.ts';
import { originOf } from './activation/origin.ts';
import { prepareInWorker } from './activation/prepare/in-worker.ts';
import { reloadPolicy } from './activation/reloading.ts';
import { tryPresent } from './activation/trial.ts';
import { createFreezes } from './admin/freezes.ts';
import { watchedOf } from './admin/metrics/watched.ts';
import { openAdmin } from './admin/open.ts';
import { createSessionListing } from './admin/sessions.ts';
import type { Act } from './audit/events/act.ts';
import { createOpsLog } from './audit/ops.ts';
import { meantOf } from './config/check/plaintext.ts';
import type { Config } from './config/load.ts';
import { openCalls, openReadiness } from './connector/calls.ts';
import { type ConnectorOptions, type Inner, openInner } from './connector/inner.ts';
import { createSystemClock } from './core/clock.ts';
import { type Closing, createClosing } from './core/closing.ts';
import type { Reloadable } from './core/files/reloadable.ts';
import type { Policy } from './decision/open.ts';
import { MCP_PATH } from './http/checks/mcp.ts';
import { listenOptions } from './http/listener/configured.ts';
import { type Listener, listen } from './http/listener/listener.ts';
import { openHttp } from './http/open.ts';
import { attributesFile } from './identity/api-keys/attributes.ts';
import { createGuessing, type Guessing } from './identity/guessing.ts';
import { watchFileChanges } from './life/file-changes.ts';
import { type Operations, openOperations } from './life/open.ts';
import { createLive, type Live } from './life/reload/live.ts';
import type { Reloaded } from './life/reload/reload.ts';
import { beginStop, type Stop, type StopParts } from './life/stop.ts';
import type { McpEndpoint } from './mcp/endpoint.ts';
import { openMcp } from './mcp/open.ts';
import { policyOnDisk } from './policy/on-disk.ts';

export type { ConnectorOptions };

export interface Connector {
  /** URL of the MCP endpoint on this machine. */
  readonly url: string;
  /** URL of the admin listener, when one is configured. */
  readonly adminUrl: string | undefined;
  readonly policy: ReturnType<typeof identityOf>;
  /** Waits until retired backend sessions are logged out and all records are written. */
  settled(): Promise<void>;
  /**
   * Stops taking calls, lets those in flight finish, logs backend sessions out, closes the log; all of it within
   * `limits.shutdown_seconds`. `delay`: as told by a signal, so it goes on taking calls for `shutdown.delay_seconds`,
   * in which whoever sends them notices that it is not ready any more.
   */
  close(options?: { delay: boolean; signal?: string }): Promise<void>;
  /** Once it is closing: waits for nothing any more. */
  hurry(): void;
  /** Reads again what can be read again: all of it, or nothing where a part cannot be used. */
  reload(act: Act): Reloaded;
}

/** Starts a connector. Rejects with an OperatorError when something must be fixed first; nothing stays open then. */
export async function startConnector(options: ConnectorOptions): Promise<Connector> {
  const closing = createClosing();
  try {
    const { env = process.env, clock = createSystemClock(), ops = createOpsLog(options.config.log) } = options;
    return await openOuter(await openInner({ ...options, env, clock, ops }, closing), closing);
  } catch (thrown) {
    await closing.close();
    throw thrown;
  }
}

interface ForOperators {
  live: Live;
  readiness: () => Promise<readonly string[]>;
  guessing: Guessing;
  operations: Operations;
  activation: Activation;
}

/** The listener of the operators, when one is configured. */
async function openOperators(inner: Inner, { live, readiness, guessing, operations, activation }: ForOperators) {
  const { config, operators, store, policy, ops, events } = inner;
  if (!config.admin || !operators) return undefined;
  const tools = Object.entries(config.tools).map(([name, { backend, effect }]) => ({ name, backend, effect }));
  return openAdmin({
    ...inner,
    ...operations,
    config: { ...config.admin, prefixes: config.network_prefix },
    allowedHosts: () => live.config.admin?.allowed_hosts ?? [],
    operators: operators.present,
    backends: Object.keys(config.backends),
    freezes: createFreezes({ control: store.control, events, policy: () => policy.present, tools }),
    activation,
    alerts: {
      ...{ alerts: inner.alerts, events, now: () => store.clock.now() },
      codes: () => Object.keys(policy.present.manifest.reasons),
    },
    accessLog: config.log.access ? ops : undefined,
    guessing,
    readiness,
    reload: async (act) => operations.reload(act),
    listing: createSessionListing({
      store: store.sessions,
      facts: store.facts,
      policy: () => policy.present,
      now: () => store.clock.now(),
    }),
  });
}

/** The way in: pipeline, MCP, HTTP, and the admin listener. */
async function openOuter(inner: Inner, closing: Closing): Promise<Connector> {
  const { config, clock, policy, keyring, metrics, audit, events, store, backends, identity, remembered } = inner;
  const { facts, control } = store;
  const { evaluator } = policy;
  const { pipeline, settled, frozen } = openCalls(inner);
  const phase = { stopping: false };
  const readiness = openReadiness(inner, phase);
  const { live, reloadable } = createLive(config, inner.reread);
  const guessing = createGuessing(
    () => live.config.limits.failures_per_minute,
    () => clock.now(),
  );
  const sealer = keyring.sealer('handle');
  const calls = { facts, control, evaluator, pipeline, guessing, frozen };
  const endpoint = openMcp({ ...inner, ...calls, sealer, clock: store.clock });
  const listener = closing.add(await listen(listenOptions({ ...inner, onTurned: metrics.turned })));
  const { url } = listener;
  listener.serve(
    openHttp({
      ...inner,
      authenticated: metrics.authenticated,
      url,
      endpoint,
      guessing,
      readiness,
      allowed: () => live.config,
    }).callback(),
  );
  const onDisk = policyOnDisk(config.policy, Object.keys(config.policy.keys).length > 0);
  const activation = createActivation({
    ...{ ...inner, ...remembered, prepare: prepareInWorker, now: () => clock.now(), onDisk },
    ...{ shared: () => store.clock.now(), fingerprint: keyring.fingerprint },
    async replicas() {
      await operations.replicas.look();
      return operations.replicas.all;
    },
  });
  const policyNow = () => ({ ...identityOf(policy.present, config), instead: activation.instead() });
  const parts = reloadableOf(inner, live, [reloadable, ...listener.reloadable], onDisk);
  const { ordered, follow } = activation;
  const onLook = (all: Parameters<typeof follow>[0]) => void follow(all);
  const operations = closing.add(
    openOperations({ ...inner, live, readiness, parts, policy: policyNow, ordered, onLook }),
  );
  const { replicas, stale, reloads, endings } = operations;
  const { states: receivers } = inner.alerts;
  const watched = { store, listener, audit, identity, replicas, stale, reloads, endings, receivers };
  metrics.watch(watchedOf({ ...watched, health: backends.health, notReady: readiness, config: () => live.config }));
  const admin = await openOperators(inner, { live, readiness, guessing, operations, activation });
  if (admin) parts.push(...closing.add(admin).reloadable);
  const origin = await originOf(config.policy.dir, inner.env);
  await events.lifecycle('sys_startup', {
    ...{ revision: policyNow().revision, wasm_sha256: policyNow().wasmSha256, policy: policyNow().verdict, url },
    ...{ operator: null, unclean: inner.trail.unclean },
    ...meantOf(config, inner.backends.proxies),
    ...(origin && { git_commit: origin.commit, git_dirty: origin.dirty }),
  });
  closing.add(
    watchFileChanges({
      ...{ config, memory: join(config.state_dir, 'files.json'), fingerprint: keyring.fingerprint },
      more: attributesOf(config),
      onChange: events.fileChanged,
      onProblem: (problem) => inner.ops.error('a file in the state folder cannot be used', { problem }),
    }),
  );
  await recordDeaths(inner);
  if (remembered.older !== undefined)
    events.activationRefused(
      { what: 'start', revision: remembered.folder, before: policy.present.revision, problem: remembered.older },
      { operator: '', reason: '', ip: '' },
    );
  closing.add(tryPresent({ ...inner, ...remembered, prepare: prepareInWorker }));
  const reloading = closing.add(reloadPolicy({ on: config.policy.reload, onDisk, activation }));
  const reload: Connector['reload'] = (act) => {
    if (act.operator === 'signal') reloading.signalled();
    return operations.reload(act);
  };
  return running(inner, { live, listener, endpoint, settled, reload, phase, closing, adminUrl: admin?.url });
}

/** What can be read again. The configuration comes first, because others look at what was read of it. */
const reloadableOf = (inner: Inner, live: Live, first: readonly Reloadable[], policy: Reloadable): Reloadable[] => [
  ...first,
  ...(inner.operators ? [inner.operators.reloadable(() => live.latest.admin)] : []),
  ...inner.identity.reloadable,
  ...inner.backends.reloadable,
  inner.keyring.reloadable,
  ...inner.alerts.reloadable,
  ...inner.trail.reloadable,
  policy,
];

/** The attributes of clients stand beside the file of their keys. */
const attributesOf = ({ identity: { keys } }: Config) =>
  keys && 'file' in keys ? [{ part: 'identity.keys.attributes', file: attributesFile(keys.file) }] : [];

/** A process that a rule held could not say so itself. */
async function recordDeaths({ watchdog, events, ops }: Inner): Promise<void> {
  if (watchdog.unrecorded.length === 0) return;
  for (const { at, revision, tool } of watchdog.unrecorded) {
    await events.policyHeld({ at, revision, tool });
    ops.error('a rule held the process before this start, which was ended; now every input is guarded', {
      ...{ at, revision, tool },
      mend: 'find the rule with "sallyport policy check", and activate one that is mended',
    });
  }
  watchdog.recorded();
}

/** What names a policy, and whether anything vouches for it. */
function identityOf({ revision, wasmSha256, unverified, signed }: Policy, { policy }: Config) {
  const open = policy.require === 'none' && unverified !== undefined;
  const verdict = signed ? ('signed' as const) : open ? ('unverified' as const) : ('compared' as const);
  return { revision, wasmSha256, verdict };
}

interface Open {
  live: Live;
  listener: Listener;
  endpoint: McpEndpoint;
  settled: () => Promise<void>;
  reload: Connector['reload'];
  phase: { stopping: boolean };
  closing: Closing;
  adminUrl: string | undefined;
}

/** What is open, as whoever has started it sees it. */
function running({ audit, config, events, policy, sessions }: Inner, open: Open): Connector {
  const { live, listener, endpoint, settled, reload, phase, closing, adminUrl } = open;
  const stopped: StopParts = {
    retreat() {
      phase.stopping = true;
      listener.drain();
    },
    closeDoor: listener.close,
    settled,
    cutShort: endpoint.cutShort,
    cutConnections: listener.cut,
    endSessions: sessions.close,
    async last(report) {
      await events.lifecycle('sys_shutdown', { ...report, operator: null, ...(stoppedBy && { signal: stoppedBy }) });
      await closing.close();
    },
  };
  let stop: Stop | undefined;
  let stoppedBy: string | undefined;
  return {
    url: `${listener.url}${MCP_PATH}`,
    adminUrl,
    get policy() {
      return identityOf(policy.present, config);
    },
    async settled() {
      await sessions.settled();
      await audit.flushed();
    },
    close({ delay, signal } = { delay: false }) {
      stoppedBy ??= signal;
      const { shutdown, limits } = live.config;
      stop ??= beginStop(stopped, {
        delayMs: delay ? shutdown.delay_seconds * 1000 : 0,
        boundMs: limits.shutdown_seconds * 1000,
      });
      return stop.ended;
    },
    hurry: () => stop?.hurry(),
    reload,
  };
}
