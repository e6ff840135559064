// What operators see and do while the connector runs: its status, the other replicas, and the reload of what can be read
// again, by a signal, by the admin listener, or because a file has changed.
import { closeSync, openSync, statSync } from 'node:fs';
import type { AuditEvents } from '../audit/events/events.ts';
import type { OpsLog } from '../audit/ops.ts';
import { SOON_DAYS } from '../config/certificates.ts';
import { messageOf } from '../core/errors.ts';
import type { Live } from './reload/live.ts';
import type { Reloads } from './reload/reloads.ts';
import type { Replicas } from './replicas.ts';
import { type IssuerKeys, type Troubles, warningsOf } from './warnings.ts';

export interface OperateOptions extends Omit<Troubles, 'store' | 'reloads' | 'policy' | 'replicas'> {
  live: Live;
  reloads: Reloads;
  replicas: Replicas;
  readiness: () => Promise<readonly string[]>;
  store: Troubles['store'] & { readonly revocations: number };
  audit: { readonly failure: string | undefined };
  /** The policy that decides at present. */
  policy: () => Troubles['policy'] & { revision: string; wasmSha256: string };
  events: Pick<AuditEvents, 'fileUnusable' | 'expiry'>;
  ops: OpsLog;
}

const DAY_MS = 86_400_000;
/** How often the files are looked at with `watch: true`, and what is stale at all. */
const WATCH_MS = 1000;

export function createOperations(options: OperateOptions) {
  const { live, replicas, reloads, readiness, problems, issuerKeys, health, store, audit, policy, events, ops } =
    options;
  const began = performance.now();
  const warnings = () => warningsOf({ ...options, policy: policy() });

  let failing = '';
  /** One line for each change of readiness, with its cause. */
  async function tellReadiness(): Promise<void> {
    const present = (await readiness().catch(() => ['unknown'])).join(', ');
    if (present === failing) return;
    failing = present;
    if (present === '') ops.info('ready');
    else
      ops.warn('not ready', {
        failing: present,
        ...(audit.failure !== undefined && { audit: audit.failure }),
        ...(store.problem !== undefined && { store: store.problem }),
        ...(issuerKeys()?.failure !== undefined && { issuer: issuerKeys()?.failure ?? '' }),
        ...(descriptorsUsedUp() && { descriptors: 'this process may open no more files (ulimit -n)' }),
      });
  }

  const told = createTold(({ what, problem }) => {
    events.fileUnusable(what, problem);
    if (problem === undefined) ops.info('the file can be used again, and is in force', { part: what });
  });
  const circuits = createTold(({ what, problem }) => {
    if (problem === undefined) ops.info('the backend is asked again', { backend: what });
    else ops.warn('the backend fails again and again, so nothing is sent to it for a while', { backend: what });
  });
  /** Each certificate and key, when it is near its end and when that is over. */
  const expiring = new Map<string, string>();
  function tellExpiry(): void {
    const now = Date.now();
    const near = new Map(
      options.endings
        .present()
        .filter(({ at }) => at - now < SOON_DAYS * DAY_MS)
        .map(({ what, at }) => [what, { at, over: at <= now }] as const),
    );
    for (const [what, ends] of near) {
      const told = `${ends.at} ${ends.over}`;
      if (expiring.get(what) !== told) events.expiry(what, ends);
      expiring.set(what, told);
    }
    for (const what of expiring.keys()) if (!near.has(what) && expiring.delete(what)) events.expiry(what, undefined);
  }

  let stamp = '';
  const timer = setInterval(() => {
    for (const [what, problem] of Object.entries(problems)) told(what, problem());
    for (const [name, { circuit }] of health()) circuits(name, circuit === 'closed' ? undefined : 'open');
    void tellReadiness();
    tellExpiry();
    if (!live.config.watch) return;
    const current = stampOf(live);
    if (stamp !== '' && current !== stamp) reloads.reload({ operator: 'watch', reason: 'a file has changed', ip: '' });
    stamp = current;
  }, WATCH_MS);
  timer.unref();

  return {
    reload: reloads.reload,
    /** The names of what cannot be used at present. */
    stale: () => Object.keys(problems).filter((what) => problems[what]?.() !== undefined),
    reloads,
    warnings,
    close: () => clearInterval(timer),
    async status() {
      const failing = await readiness();
      await replicas.look().catch(() => undefined);
      const { config } = live;
      return {
        version: 1 as const,
        self: replicas.self.id,
        uptime_seconds: Math.floor((performance.now() - began) / 1000),
        ready: failing.length === 0,
        failing: [...failing],
        warnings: warnings(),
        policy: { revision: policy().revision, wasm_sha256: policy().wasmSha256, verdict: policy().verdict },
        store: { kind: config.store.redis ? ('redis' as const) : ('memory' as const), revocations: store.revocations },
        replicas: replicas.all.map(({ order: _order, ...told }) => told),
        differences: [...replicas.differences],
        backends: [...health()].map(([name, { circuit, inFlight, queued, pausedSeconds }]) => ({
          name,
          circuit,
          in_flight: inFlight,
          queued,
          paused_seconds: pausedSeconds,
        })),
        issuer: config.identity.jwt?.issuer ?? null,
        issuer_keys: issuerKeysOf(issuerKeys()),
        last_reload: reloads.last() ?? null,
        waits_for_restart: [...reloads.waiting()].map(([part, waits]) => ({ part, ...waits })),
        decision_log: { file: config.audit.file, failure: audit.failure ?? null },
      };
    },
  };
}

/** Tells of each thing when it begins to have a problem, and when it has none any more. */
function createTold(tell: (change: { what: string; problem: string | undefined }) => void) {
  const known = new Set<string>();
  return (what: string, problem: string | undefined): void => {
    if (known.has(what) === (problem !== undefined)) return;
    if (problem === undefined) known.delete(what);
    else known.add(what);
    tell({ what, problem });
  };
}

function issuerKeysOf(keys: IssuerKeys | undefined) {
  if (!keys) return null;
  const { ageMs, failure = null } = keys;
  return { age_seconds: ageMs === undefined ? null : Math.floor(ageMs / 1000), failure };
}

/** The files that are read again only on demand: certificates, key sets, credentials, and the configuration itself. */
function stampOf({ config }: Live): string {
  const { listen, admin, identity, backends, alerts } = config;
  const jwks = identity.jwt?.jwks;
  const files = [
    ...(config.sources ?? []),
    ...[listen.tls, admin?.tls].flatMap((tls) => (tls ? [tls.cert_file, tls.key_file, tls.client_ca_file] : [])),
    ...Object.values(admin?.tokens ?? {}).map((token) => ('file' in token ? token.file : undefined)),
    admin?.token && 'file' in admin.token ? admin.token.file : undefined,
    jwks && 'file' in jwks ? jwks.file : undefined,
    ...Object.values(backends).flatMap(({ credentials, accounts, ca_file }) => [
      ca_file,
      ...[credentials, ...Object.values(accounts?.map ?? {})]
        .flatMap((refs) => Object.values(refs))
        .map((ref) => ('file' in ref ? ref.file : undefined)),
    ]),
    ...Object.values(alerts.receivers).flatMap((receiver) =>
      [
        ...('url' in receiver && typeof receiver.url === 'object' ? [receiver.url] : []),
        ...('secrets' in receiver ? receiver.secrets : []),
        ...('routing_key' in receiver ? [receiver.routing_key] : []),
      ].map((ref) => ('file' in ref ? ref.file : undefined)),
    ),
  ];
  return files
    .map((file) => {
      try {
        const stat = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false });
        return stat ? `${stat.mtimeMs}:${stat.size}:${stat.ino}` : '';
      } catch (thrown) {
        // A folder in the path is gone, or may not be looked into: that is a change, and the reload says what is wrong.
        return messageOf(thrown);
      }
    })
    .join(' ');
}

/** Asked only when something is wrong already: then the cause of all of it may be this. */
function descriptorsUsedUp(): boolean {
  try {
    closeSync(openSync(process.execPath, 'r'));
    return false;
  } catch (thrown) {
    return ['EMFILE', 'ENFILE'].includes((thrown as NodeJS.ErrnoException).code ?? '');
  }
}
