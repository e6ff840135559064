// What operators see and do while the connector runs: its status, the other replicas, and the reload of what can be read
// again, by a signal, by the admin listener, or because a file has changed.
import { closeSync, openSync, statSync } from 'node:fs';
import type { Act, AuditEvents } from '../audit/events.ts';
import type { OpsLog } from '../audit/ops.ts';
import type { BackendHealth } from '../backend/http/http.ts';
import { messageOf } from '../core/errors.ts';
import type { Reloadable } from '../core/files/reloadable.ts';
import { type FreezeRow, freezeText } from '../freeze/freeze.ts';
import type { Live } from './live.ts';
import { type Reloaded, reload } from './reload.ts';
import type { Replicas } from './replicas.ts';

/** What cannot be used at present and does no harm yet: the last good one is in force. */
export interface Warning {
  what: string;
  detail: string;
}

/** How the keys of the issuer fare: since when they are known, and why they could not be fetched last. */
export interface IssuerKeys {
  readonly ageMs: number | undefined;
  readonly failure: string | undefined;
}

export interface OperateOptions {
  live: Live;
  /** More may be added while it is being put together. */
  parts: readonly Reloadable[];
  replicas: Replicas;
  readiness: () => Promise<readonly string[]>;
  /** By what they are about, the parts that go on with what they had. */
  stale: Readonly<Record<string, () => boolean>>;
  issuerKeys: () => IssuerKeys | undefined;
  health: () => Iterable<readonly [string, BackendHealth]>;
  store: { readonly revocations: number; frozen(): readonly FreezeRow[] };
  audit: { readonly failure: string | undefined };
  policy: { revision: string; wasmSha256: string; verdict: 'compared' | 'unverified' };
  events: Pick<AuditEvents, 'reloaded' | 'fileUnusable'>;
  ops: OpsLog;
}

/** The last reload, by the names of its parts. */
export interface LastReload extends ReloadedNames {
  at: string;
  operator: string;
  ok: boolean;
}

type ReloadedNames = Record<'changed' | 'needs_restart' | 'refused', string[]>;

/** How often the files are looked at with `watch: true`, and what is stale at all. */
const WATCH_MS = 1000;

export function createOperations(options: OperateOptions) {
  const { live, replicas, readiness, stale, issuerKeys, health, store, audit, policy, events, ops } = options;
  const began = performance.now();
  let last: LastReload | undefined;

  function reloadAll(act: Act): Reloaded {
    const result = reload(options.parts);
    const { ok } = result;
    const named = (kind: string) => result.parts.filter((part) => part.result === kind).map(({ part }) => part);
    const parts = { changed: named('changed'), needs_restart: named('needs_restart'), refused: named('refused') };
    last = { at: new Date().toISOString(), operator: act.operator, ok, ...parts };
    events.reloaded(act, ok, parts);
    for (const { part, result: what, detail = '' } of result.parts) {
      if (what === 'refused') ops.error('reload: nothing was changed, because this cannot be used', { part, detail });
      else if (what !== 'unchanged') ops.info(`reload: ${what.replace('_', ' ')}`, { part, detail });
    }
    if (ok && result.parts.every((part) => part.result === 'unchanged')) ops.info('reload: all is unchanged');
    return result;
  }

  const warnings = (): Warning[] => [
    ...Object.entries(stale).flatMap(([what, is]) =>
      is() ? [{ what, detail: 'the file cannot be used; the last good one stays in force' }] : [],
    ),
    ...store.frozen().map((row) => ({ what: `freeze ${freezeText(row.selector)}`, detail: freezeDetail(row) })),
    ...reloadWarnings(last),
    ...issuerWarnings(issuerKeys()),
    ...(policy.verdict === 'unverified'
      ? [{ what: 'policy', detail: 'unverified: its verdict stands beside it and is not signed' }]
      : []),
    ...replicas.differences.map(({ what, values }) => ({
      what: `replicas: ${what}`,
      detail: `differs: ${Object.entries(values)
        .map(([value, ids]) => `${value} on ${ids.length}`)
        .join(', ')}`,
    })),
  ];

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
        ...(issuerKeys()?.failure !== undefined && { issuer: issuerKeys()?.failure ?? '' }),
        ...(descriptorsUsedUp() && { descriptors: 'this process may open no more files (ulimit -n)' }),
      });
  }

  let known: Record<string, boolean> = {};
  let stamp = '';
  const timer = setInterval(() => {
    const now = Object.fromEntries(Object.entries(stale).map(([what, is]) => [what, is()]));
    for (const [what, is] of Object.entries(now)) {
      if ((known[what] ?? false) === is) continue;
      events.fileUnusable(what, is);
      if (!is) ops.info('the file can be used again, and is in force', { part: what });
    }
    known = now;
    void tellReadiness();
    if (!live.config.watch) return;
    const current = stampOf(live);
    if (stamp !== '' && current !== stamp) reloadAll({ operator: 'watch', reason: 'a file has changed', ip: '' });
    stamp = current;
  }, WATCH_MS);
  timer.unref();

  return {
    reload: reloadAll,
    /** The names of what cannot be used at present. */
    stale: () => Object.keys(stale).filter((what) => stale[what]?.()),
    lastReload: () => last,
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
        policy: { revision: policy.revision, wasm_sha256: policy.wasmSha256, verdict: policy.verdict },
        store: { kind: config.store.redis ? ('redis' as const) : ('memory' as const), revocations: store.revocations },
        replicas: [...replicas.all],
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
        last_reload: last ?? null,
        decision_log: { file: config.audit.file, failure: audit.failure ?? null },
      };
    },
  };
}

const freezeDetail = ({ operator, reason, until }: FreezeRow): string =>
  `by ${operator}${until === null ? '' : ` until ${new Date(until).toISOString()}`}: ${reason}`;

function reloadWarnings(last: LastReload | undefined): Warning[] {
  if (!last) return [];
  const { ok, refused, needs_restart: waiting } = last;
  return [
    ...(ok ? [] : [{ what: 'reload', detail: `refused for ${refused.join(', ')}; nothing was changed by it` }]),
    ...(waiting.length === 0 ? [] : [{ what: 'restart', detail: `changes wait for one: ${waiting.join(', ')}` }]),
  ];
}

function issuerWarnings(keys: IssuerKeys | undefined): Warning[] {
  if (keys?.failure === undefined) return [];
  const age = keys.ageMs === undefined ? 'none are known' : `those of ${Math.floor(keys.ageMs / 1000)} s ago go on`;
  return [{ what: 'issuer', detail: `its keys cannot be fetched (${keys.failure}); ${age}` }];
}

function issuerKeysOf(keys: IssuerKeys | undefined) {
  if (!keys) return null;
  const { ageMs, failure = null } = keys;
  return { age_seconds: ageMs === undefined ? null : Math.floor(ageMs / 1000), failure };
}

/** The files that are read again only on demand: certificates, key sets, credentials, and the configuration itself. */
function stampOf({ config }: Live): string {
  const { listen, admin, identity, backends } = config;
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
