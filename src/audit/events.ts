// Records of what happens apart from calls: rejected credentials and handles, and the life of sessions. Event
// names follow the OWASP logging vocabulary where it has one.
import type { Clock } from '../core/clock.ts';
import { type FreezeRow, freezeText } from '../freeze/freeze.ts';
import type { GuessAlert } from '../identity/guessing.ts';
import type { Selector } from '../session/control.ts';
import type { SessionEvents } from '../session/events.ts';
import type { LogName } from './chain/head.ts';
import type { AuditLog } from './log/log.ts';
import type { Told } from './log/resume.ts';
import type { Masks } from './masks.ts';
import type { OpsLog } from './ops.ts';
import type { ClientFields, EventRecord } from './records.ts';
import { sessionEventName, sessionFields } from './session-fields.ts';
import { createOncePerMinute, createThrottle } from './throttle.ts';

/** Where a request came from, and its client if known. */
export interface Source {
  requestId: string;
  ip: string;
  network: string;
  client?: ClientFields | undefined;
}

/** What an operator did: under which name, from where, and why. */
export interface Act {
  operator: string;
  reason: string;
  ip: string;
}

/**
 * Writes events and alerts to the decision log. Methods that return nothing do not wait for the disk and never
 * fail.
 */
export interface AuditEvents {
  /** Records what happens to a session. An end that is not proven is marked as residual risk. */
  session: SessionEvents;
  /**
   * A credential was not accepted. `check` names the check that failed where `failure` covers several. `alert` asks for an alert as well: there were too many failures from that
   * source, or a DPoP proof was used twice.
   */
  authenticationFailed(source: Source, failure: string, check: string | undefined, alert: GuessAlert | undefined): void;
  /** A handle was not accepted. */
  unknownHandle(source: Source, alert: GuessAlert | undefined): void;
  /** The policy could not say which tools a client may see, so the client got an error instead of a list. */
  listingRefused(source: Source, code: string, detail: string): void;
  /** The connector started or stopped. Resolves when the record is written or has failed. */
  lifecycle(
    event: 'sys_startup' | 'sys_shutdown',
    fields: Record<string, string | number | boolean | null>,
  ): Promise<void>;
  /** Sessions were revoked. `ended` is how many were ended, null when the revocation failed half-way. */
  revoked(selector: Selector, ended: number | null, act: Act): void;
  /** Something was frozen or thawed (`active`). `honours`: whether the policy denies by it. */
  frozen(what: Omit<FreezeRow, 'number'> & { honours?: string }, act: Act): void;
  /** Another policy was taken into use, or was asked for and already is. */
  activated(
    of: Activation & { wasmSha256: string; origin: { commit: string; dirty: boolean } | undefined },
    act: Act,
  ): void;
  /** A policy was not taken into use; the one before still decides. */
  activationRefused(of: Activation & { problem: string }, act: Act): void;
  /** Before this start an evaluation held the process until it was ended; now each input of that policy is guarded. Resolves when it is on record. */
  policyHeld(death: { at: string; revision: string; tool: string }): Promise<void>;
  /** A request to the admin listener had no valid admin token. `alerting`: there were too many from there. */
  adminRefused(source: Pick<Source, 'ip' | 'network'>, alerting: boolean): void;
  /** Parts were read again, or were not, because one of them could not be used. `parts`: by what became of them, their names. What was refused is an alert as well. */
  reloaded(
    act: Act,
    ok: boolean,
    parts: Readonly<Record<string, readonly string[]>>,
    configuration: { before: string; after: string },
  ): void;
  /** A file that is watched cannot be used, so that the last good one stays in force, or can again. */
  fileUnusable(part: string, problem: string | undefined): void;
  /** A file that changes what the connector does is another one than before. Nobody knows who has done that. */
  fileChanged(change: {
    part: string;
    file: string;
    before: string | null;
    after: string | null;
    owner: number | null;
    changedAt: string | null;
    whileStopped: boolean;
  }): void;
  /** The replicas began to differ in something, or agree again; `values` names them by what they have. */
  replicasDiffer(what: string, values: Readonly<Record<string, readonly string[]>>): void;
  /** Replicas have decided with different policies for longer than a deployment takes; `values`: their ids by policy. */
  policiesDiffer(values: Readonly<Record<string, readonly string[]>>): void;
  /** The store began a new epoch. `lost`: it may have lost what it knew. */
  storeEpoch(epoch: string, lost: boolean): void;
  /** The store knows less than it did, although its servers are the same: somebody has changed it. */
  storeWentBack(): void;
  /** Replicas that were there first have another keyring (true), or not any more. */
  otherKeyring(other: boolean): void;
  /** The revocations come near the most that are kept. */
  manyRevocations(count: number): void;
  /** Something happened to a log, which is on record there; what may have lost records is an alert as well. */
  logTold(log: LogName, told: Told): void;
  /** A log cannot be written any more; that it can again is on record as `log_restored`. */
  logFailing(log: LogName, code: string): void;
  /** Checkpoints do not reach the place where copies of them are kept, or (undefined) reach it again. */
  checkpointsReach(problem: string | undefined): void;
  /** The clock of this machine differs too much from that of the store (false), or not any more. */
  clockAgrees(agrees: boolean, skewMs: number): void;
}

/** What was asked for, and which policy is in force with it and was before. An empty revision is not known. */
export interface Activation {
  what: 'activate' | 'rollback' | 'start';
  revision: string;
  before: string;
}

type Fields = Omit<EventRecord, 'type' | 'event' | 'timestamp'>;

/** Who acted, from where and why. */
const actFields = ({ operator, reason, ip }: Act): Fields => ({ operator, reason, requested_by: ip });

/** A gate may have much to say. */
const LONGEST_PROBLEM = 1000;

const AUTHENTICATION_ALERTS: Record<GuessAlert, [reason: string, severity: 'medium' | 'high']> = {
  proof_replayed: ['authn.proof_replayed', 'high'],
  too_many: ['authn.too_many_failures', 'medium'],
};

/** What operators read about a log, and the alert where records may be missing or are not the connector's. */
const LOG_WORDS: Record<Told['event'], [text: string, alert: string | undefined, level: 'info' | 'warn' | 'error']> = {
  log_started: ['a chain of the decision log begins', undefined, 'info'],
  log_rotated: ['the decision log goes on in another file', undefined, 'info'],
  log_torn: ['the last line of the decision log was torn', undefined, 'warn'],
  log_removed: ['the budget has removed a file of the decision log', undefined, 'warn'],
  log_gap: ['records of the decision log may be missing', 'log.gap', 'error'],
  log_foreign: ['somebody else has written into the decision log', 'log.foreign_writer', 'error'],
};

const seqs = (from: unknown, to: unknown): Record<string, number> => ({
  ...(typeof from === 'number' && { from_seq: from }),
  ...(typeof to === 'number' && { to_seq: to }),
});

/** Most records a second about requests that were not accepted, all kinds together. */
const REFUSALS_PER_SECOND = 20;

/** Creates the writer. Records that strangers can cause are bounded by a throttle. */
export function createAuditEvents(
  audit: AuditLog,
  clock: Clock,
  ops: OpsLog,
  masks: Pick<Masks, 'event' | 'selector'>,
): AuditEvents {
  const throttle = createThrottle(REFUSALS_PER_SECOND);
  const once = createOncePerMinute();
  const timestamp = () => new Date(clock.now()).toISOString();
  const write = (event: string, fields: Fields) =>
    audit.event({ type: 'event', event, timestamp: timestamp(), ...masks.event(fields) });
  const writeBounded = (event: string, fields: Record<string, string>) => {
    const suppressed = throttle.admit(clock.now());
    if (suppressed !== undefined) void write(event, { ...fields, ...(suppressed > 0 && { suppressed }) });
  };
  /** Writes one alert a minute for the same reason, network and client, however often it happens. */
  const alert = (
    reason: string,
    severity: 'medium' | 'high',
    source: Partial<Source>,
    params?: Record<string, string | number>,
  ) => {
    const { requestId = null, ip = null, network = null, client = null } = source;
    if (!once.admit(JSON.stringify([reason, network, client]), clock.now())) return;
    const about = { req_id: requestId, ...masks.event({ requested_by: ip, client }) };
    const what = { severity, reasons: [reason], ...(params && { params }) };
    audit.alert({ type: 'alert', timestamp: timestamp(), decision_id: null, ...about, ...what }).catch(() => {});
  };

  return {
    session(event) {
      if (event.type === 'session_rolled_back') alert('store.rolled_back', 'high', {});
      if (event.type === 'session_damaged' || event.type === 'session_unopenable')
        alert('session.unopenable', 'high', {});
      return write(sessionEventName(event), sessionFields(event));
    },

    authenticationFailed(source, failure, check, alerting) {
      const { requestId: req_id, ip: requested_by, client } = source;
      const event = failure === 'proof_replayed' ? 'authn_token_reuse' : 'authn_login_fail';
      writeBounded(event, {
        req_id,
        requested_by,
        failure,
        ...(check !== undefined && { check }),
        ...(client && { client: client.id }),
      });
      if (alerting) alert(...AUTHENTICATION_ALERTS[alerting], source);
    },

    unknownHandle(source, alerting) {
      const { requestId: req_id, ip: requested_by, client } = source;
      writeBounded('session_use_fail', { req_id, requested_by, client: client?.id ?? '', failure: 'unknown_handle' });
      if (alerting) alert('handle.too_many_unknown', 'medium', source);
    },

    listingRefused({ requestId: req_id, ip: requested_by, client }, code, detail) {
      writeBounded('listing_refused', { req_id, requested_by, client: client?.id ?? '', code, detail });
    },

    lifecycle: (event, fields) => write(event, fields),
    revoked: (selector, ended, act) =>
      void write('session_revocation', {
        selector: JSON.stringify(masks.selector(selector)),
        ended,
        ...actFields(act),
      }),
    frozen({ selector, active, until, honours }, act) {
      void write(active ? 'freeze' : 'thaw', {
        selector: JSON.stringify(masks.selector(selector)),
        ...(active && { until: until === null ? null : new Date(until).toISOString() }),
        ...(honours !== undefined && { policy_honours: honours }),
        ...actFields(act),
      });
      if (honours === 'no') alert('freeze.ignored', 'high', {}, { freeze: freezeText(masks.selector(selector)) });
    },
    activated({ what, revision, before, wasmSha256, origin }, act) {
      const from = origin && { git_commit: origin.commit, git_dirty: origin.dirty };
      void write('policy_activated', { what, revision, before, wasm_sha256: wasmSha256, ...from, ...actFields(act) });
    },
    activationRefused({ what, revision, before, problem }, act) {
      const told = problem.slice(0, LONGEST_PROBLEM);
      void write('policy_refused', { what, revision, before, problem: told, ...actFields(act) });
      alert('policy.refused', 'medium', {}, { revision, in_force: before });
    },
    policyHeld({ at, revision, tool }) {
      alert('policy.held_process', 'high', {}, { revision, tool });
      return write('policy_held_process', { at, revision, tool });
    },
    adminRefused(source, alerting) {
      writeBounded('authn_login_fail', { requested_by: source.ip, failure: 'admin' });
      if (alerting) alert('admin.too_many_failures', 'high', source);
    },
    reloaded(act, ok, parts, { before, after }) {
      const names = Object.fromEntries(Object.entries(parts).map(([what, list]) => [what, list.join(', ')]));
      void write('reload', { ok, ...names, before, after, ...actFields(act) });
      if (!ok) alert('reload.refused', 'medium', {}, { refused: names.refused ?? '' });
      if (names.restart_fails) alert('reload.restart_fails', 'medium', {}, { parts: names.restart_fails });
    },
    fileUnusable(part, problem) {
      void write('file_unusable', { part, unusable: problem !== undefined, ...(problem !== undefined && { problem }) });
      if (problem !== undefined) alert('file.unusable', 'medium', {}, { part, problem });
    },
    fileChanged: ({ changedAt, whileStopped, ...change }) =>
      void write('file_changed', {
        ...change,
        ...{ changed_at: changedAt, while_stopped: whileStopped, operator: null },
      }),
    replicasDiffer: (what, values) =>
      void write('replicas_differ', {
        what,
        differ: Object.keys(values).length > 0,
        values: JSON.stringify(values),
      }),
    policiesDiffer(values) {
      void write('policies_differ', { values: JSON.stringify(values) });
      alert('policy.replicas_differ', 'high', {}, { policies: Object.keys(values).join(' ') });
    },

    storeEpoch(epoch, lost) {
      void write('store_epoch', { epoch, lost });
      if (lost) alert('store.history_lost', 'high', {});
    },
    storeWentBack() {
      void write('store_rolled_back', {});
      alert('store.rolled_back', 'high', {});
    },
    otherKeyring(other) {
      void write('keyring_mismatch', { other });
      if (other) alert('keyring.mismatch', 'high', {});
    },
    manyRevocations(count) {
      void write('revocations_many', { count });
      alert('revocations.many', 'high', {}, { count });
    },
    logTold(log, { event, fields }) {
      const [text, code, level] = LOG_WORDS[event];
      const { cause = '', from_seq: from, to_seq: to } = fields;
      // Every log begins once.
      if (event === 'log_started' && cause === 'new') return;
      ops[level](text, { log, cause: String(cause), ...seqs(from, to) });
      if (code !== undefined) alert(code, 'high', {}, { log, cause: String(cause), ...seqs(from, to) });
    },
    logFailing(log, code) {
      ops.error('the decision log cannot be written; calls are refused', { log, code });
      alert('log.failing', 'high', {}, { log, code });
    },
    checkpointsReach(problem) {
      void write('checkpoints_unreachable', {
        unreachable: problem !== undefined,
        ...(problem !== undefined && { problem }),
      });
      if (problem === undefined) return ops.info('checkpoints of the decision log reach their place again');
      ops.error('checkpoints of the decision log do not reach the place where copies of them are kept', { problem });
      alert('log.checkpoints_unreachable', 'medium', {}, { problem });
    },
    clockAgrees(agrees, skewMs) {
      void write('clock_skew', { agrees, skew_ms: Math.round(skewMs) });
      if (!agrees) alert('clock.skew', 'medium', {}, { skew_ms: Math.round(skewMs) });
    },
  };
}
