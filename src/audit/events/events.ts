// Records of what happens apart from calls: rejected credentials and handles, and the life of sessions. Event
// names follow the OWASP logging vocabulary where it has one.
import type { Clock } from '../../core/clock.ts';
import type { AlertCode } from '../../decision/alerts/codes.ts';
import { type FreezeRow, freezeText } from '../../freeze/freeze.ts';
import type { GuessAlert } from '../../identity/guessing.ts';
import type { Selector } from '../../session/control.ts';
import type { SessionEvents } from '../../session/events.ts';
import type { LogName } from '../chain/head.ts';
import type { AuditLog } from '../log/log.ts';
import type { Told } from '../log/resume.ts';
import type { Masks } from '../masks.ts';
import type { OpsLog } from '../ops.ts';
import type { ClientFields } from '../records.ts';
import { type Act, actFields, type Fields } from './act.ts';
import { type AlertEvents, createAlertEvents } from './alert-events.ts';
import { type AlertSink, createRaising } from './raise.ts';
import { aboutOf, residualOf, sessionEventName, sessionFields } from './session-fields.ts';
import { createThrottle } from './throttle.ts';

/** Where a request came from, and its client if known. */
export interface Source {
  requestId: string;
  ip: string;
  network: string;
  client?: ClientFields | undefined;
}

/**
 * Writes events and alerts to the decision log. Methods that return nothing do not wait for the disk and never
 * fail.
 */
export interface AuditEvents extends AlertEvents {
  /** Records what happens to a session. An end that is not proven is marked as residual risk. */
  session: SessionEvents;
  /**
   * A credential was not accepted. `check` names the check that failed where `failure` covers several. `alert` asks for an alert as well: there were too many failures from that
   * source, or a DPoP proof was used twice.
   */
  authenticationFailed(source: Source, failure: string, check: string | undefined, alert: GuessAlert | undefined): void;
  /** A handle was not accepted. `cause`: what it was, if that is an attack by itself. */
  unknownHandle(source: Source, cause: 'foreign' | 'revoked' | undefined, alert: GuessAlert | undefined): void;
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
  /**
   * Replicas have had different policies or configurations for longer than a deployment takes (`values`: their ids by what
   * they have), or not any more (empty).
   */
  stayApart(what: 'policy' | 'configuration', values: Readonly<Record<string, readonly string[]>>): void;
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
  /** A log cannot be written any more; undefined: it can again, which is on record as `log_restored`. */
  logFailing(log: LogName, code: string | undefined): void;
  /** Checkpoints do not reach the place where copies of them are kept, or (undefined) reach it again. */
  checkpointsReach(problem: string | undefined): void;
  /** A backend does not take the logins of the connector, and why; undefined: it takes them again. */
  loginsFail(backend: string, detail: string | undefined): void;
  /** A backend has refused one account so often that it may lock it. `client`: whose it is, where it is not for all. */
  accountRefused(backend: string, times: number, client: ClientFields | undefined): void;
  /** A certificate or a key ends soon, has ended, or (undefined) was replaced. */
  expiry(what: string, ends: { at: number; over: boolean } | undefined): void;
  /** The clock of this machine differs too much from that of the store (false), or not any more. */
  clockAgrees(agrees: boolean, skewMs: number): void;
}

/** What was asked for, and which policy is in force with it and was before. An empty revision is not known. */
export interface Activation {
  what: 'activate' | 'rollback' | 'start';
  revision: string;
  before: string;
}

/** A gate may have much to say. */
const LONGEST_PROBLEM = 1000;

const AUTHENTICATION_ALERTS: Record<GuessAlert, AlertCode> = {
  proof_replayed: 'authn.proof_replayed',
  too_many: 'authn.too_many_failures',
};
const HANDLE_ALERTS = { foreign: 'handle.foreign', revoked: 'handle.revoked' } as const;

/** What operators read about a log, and the alert where records may be missing or are not the connector's. */
const LOG_WORDS: Record<Told['event'], [text: string, alert: AlertCode | undefined, level: 'info' | 'warn' | 'error']> =
  {
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
  masks: Pick<Masks, 'event' | 'selector' | 'address'>,
  sink: AlertSink,
): AuditEvents {
  const throttle = createThrottle(REFUSALS_PER_SECOND);
  const raising = createRaising(audit, clock, masks, sink);
  const { raise, over, lasting } = raising;
  const timestamp = () => new Date(clock.now()).toISOString();
  const write = (event: string, fields: Fields) =>
    audit.event({ type: 'event', event, timestamp: timestamp(), ...masks.event(fields) });
  const writeBounded = (event: string, fields: Record<string, string>) => {
    const suppressed = throttle.admit(clock.now());
    if (suppressed !== undefined) void write(event, { ...fields, ...(suppressed > 0 && { suppressed }) });
  };

  return {
    ...createAlertEvents({ write, raising, ops }),
    session(event) {
      if (event.type === 'session_rolled_back') raise('store.rolled_back');
      if (event.type === 'session_damaged') raise('session.unopenable', {}, { ...event.key });
      if (event.type === 'session_unopenable') raise('session.unopenable', aboutOf(event.record));
      const residual = residualOf(event);
      if (residual) raise('session.residual', residual);
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
      if (alerting) raise(AUTHENTICATION_ALERTS[alerting], source);
    },

    unknownHandle(source, cause, alerting) {
      const { requestId: req_id, ip: requested_by, client } = source;
      writeBounded('session_use_fail', {
        req_id,
        requested_by,
        client: client?.id ?? '',
        failure: 'unknown_handle',
        ...(cause && { cause }),
      });
      if (cause) raise(HANDLE_ALERTS[cause], source);
      if (alerting) raise('handle.too_many_unknown', source);
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
      if (honours === 'no') raise('freeze.ignored', {}, { freeze: freezeText(masks.selector(selector)) });
    },
    activated({ what, revision, before, wasmSha256, origin }, act) {
      const from = origin && { git_commit: origin.commit, git_dirty: origin.dirty };
      void write('policy_activated', { what, revision, before, wasm_sha256: wasmSha256, ...from, ...actFields(act) });
    },
    activationRefused({ what, revision, before, problem }, act) {
      const told = problem.slice(0, LONGEST_PROBLEM);
      void write('policy_refused', { what, revision, before, problem: told, ...actFields(act) });
      raise('policy.refused', {}, { revision, in_force: before });
    },
    policyHeld({ at, revision, tool }) {
      raise('policy.held_process', {}, { revision, tool });
      return write('policy_held_process', { at, revision, tool });
    },
    adminRefused(source, alerting) {
      writeBounded('authn_login_fail', { requested_by: source.ip, failure: 'admin' });
      if (alerting) raise('admin.too_many_failures', source);
    },
    reloaded(act, ok, parts, { before, after }) {
      const names = Object.fromEntries(Object.entries(parts).map(([what, list]) => [what, list.join(', ')]));
      void write('reload', { ok, ...names, before, after, ...actFields(act) });
      if (!ok) raise('reload.refused', {}, { refused: names.refused ?? '' });
      if (names.restart_fails) raise('reload.restart_fails', {}, { parts: names.restart_fails });
    },
    fileUnusable(part, problem) {
      void write('file_unusable', { part, unusable: problem !== undefined, ...(problem !== undefined && { problem }) });
      lasting('file.unusable', problem !== undefined, { part, ...(problem !== undefined && { problem }) });
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
    stayApart(what, values) {
      const apart = Object.keys(values);
      if (what === 'policy' && apart.length > 0) void write('policies_differ', { values: JSON.stringify(values) });
      const code = what === 'policy' ? 'policy.replicas_differ' : 'configuration.replicas_differ';
      lasting(code, apart.length > 0, { revisions: apart.join(' ') });
    },

    storeEpoch(epoch, lost) {
      void write('store_epoch', { epoch, lost });
      if (lost) raise('store.history_lost');
    },
    storeWentBack() {
      void write('store_rolled_back', {});
      raise('store.rolled_back');
    },
    otherKeyring(other) {
      void write('keyring_mismatch', { other });
      lasting('keyring.mismatch', other, {});
    },
    manyRevocations(count) {
      void write('revocations_many', { count });
      raise('revocations.many', {}, { count });
    },
    logTold(log, { event, fields }) {
      const [text, code, level] = LOG_WORDS[event];
      const { cause = '', from_seq: from, to_seq: to } = fields;
      // Every log begins once.
      if (event === 'log_started' && cause === 'new') return;
      ops[level](text, { log, cause: String(cause), ...seqs(from, to) });
      if (code !== undefined) raise(code, {}, { log, cause: String(cause), ...seqs(from, to) });
    },
    logFailing(log, code) {
      if (code === undefined) return over('log.failing', { log });
      ops.error('the decision log cannot be written; calls are refused', { log, code });
      raise('log.failing', {}, { log, code });
    },
    checkpointsReach(problem) {
      void write('checkpoints_unreachable', {
        unreachable: problem !== undefined,
        ...(problem !== undefined && { problem }),
      });
      lasting('log.checkpoints_unreachable', problem !== undefined, { ...(problem !== undefined && { problem }) });
      if (problem === undefined) return ops.info('checkpoints of the decision log reach their place again');
      ops.error('checkpoints of the decision log do not reach the place where copies of them are kept', { problem });
    },
    clockAgrees(agrees, skewMs) {
      void write('clock_skew', { agrees, skew_ms: Math.round(skewMs) });
      lasting('clock.skew', !agrees, { skew_ms: Math.round(skewMs) });
    },
    loginsFail(backend, detail) {
      lasting('backend.login_failing', detail !== undefined, { backend, ...(detail !== undefined && { detail }) });
    },
    accountRefused: (backend, times, client) =>
      raise('backend.account_near_lockout', { client, backend }, { backend, times }),
    expiry(what, ends) {
      const at = ends && { ends_at: new Date(ends.at).toISOString() };
      lasting('expiry.near', ends !== undefined && !ends.over, { what, ...at });
      lasting('expiry.over', ends?.over === true, { what, ...at });
    },
  };
}
