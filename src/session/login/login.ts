// One login at a backend by whoever holds the login lock, in three phases: prepare what the session will be, log
// in, store. Each phase leaves nothing behind that nobody knows of, whatever fails after it.

import { randomBytes } from 'node:crypto';
import type { BackendTokenSecret, LoginResult } from '../../backend/port.ts';
import { type Acquired, refusedSession, type SessionManagerOptions, type SessionRequest } from '../contract.ts';
import { isRevoked } from '../control.ts';
import type { Ending } from '../end/ending.ts';
import type { Retirement } from '../end/retirement.ts';
import { because, type Cause } from '../events.ts';
import { lastsUntil, nextSerial, type OpenEntry, openEntryOf, type SessionKey, type SessionRecord } from '../record.ts';
import type { Seen } from '../seen.ts';
import { type SessionSnapshot, sameVersion } from '../store.ts';
import type { Vault } from '../vault.ts';
import type { AccountRef } from './account-ref.ts';
import type { HandOut } from './hand-out.ts';

/** A login that may begin: its request, what the decision observed, and the lock it was given. */
export interface LoginTurn {
  request: SessionRequest;
  observed: SessionSnapshot;
  lockId: string;
  leaseMs: number;
  /** Why there is a login, for the audit log. */
  cause: Cause;
}

export interface LoginOptions
  extends Pick<
    SessionManagerOptions,
    'store' | 'limits' | 'quotas' | 'control' | 'clock' | 'events' | 'fingerprint' | 'endsAt' | 'entries'
  > {
  vault: Vault;
  retirement: Retirement;
  ending: Ending;
  accountRef: AccountRef;
  credentialsRef: AccountRef;
  handOut: HandOut;
  seen: Seen;
  /** The backend refused the credentials. */
  onRefused: (request: SessionRequest) => void;
}

/** What is settled before the backend is asked. */
interface Prepared {
  key: SessionKey;
  id: string;
  issuedAt: number;
  /** Stands outside the store until the login has ended. */
  entry: OpenEntry;
  seal(backendToken: BackendTokenSecret): SessionRecord;
}

/**
 * A login that came to nothing gives its lock back, which removes what the store knows of it. `unnoted`: a backend token
 * could not be noted anywhere else, so the lock must run out, and then the login counts as one that was left behind.
 */
export type LoggedIn = Acquired & { unnoted?: boolean };

/** Rejects when the store fails half-way. */
export type Login = (turn: LoginTurn) => Promise<LoggedIn>;

export function createLogin(options: LoginOptions): Login {
  return async (turn) => {
    const prepared = await prepare(options, turn);
    if (!prepared) return refusedSession('session.limit', `the client has ${turn.request.limit} sessions`);
    const result = await logIn(options, turn, prepared);
    return 'ok' in result ? result : keep(options, turn, prepared, result);
  };
}

/** Phase 1. Undefined: the client has as many sessions as it may have. */
async function prepare(options: LoginOptions, turn: LoginTurn): Promise<Prepared | undefined> {
  const { control, limits, clock, vault, accountRef, fingerprint, entries } = options;
  const { request, observed, leaseMs } = turn;
  const { backend, owner, issuer, bound, limit, account } = request;
  const key = { backend: backend.name, owner };
  const current = observed.record;
  // Read before the login begins. A revocation from now on has a higher number than the session, so it means this
  // session whatever it overtakes.
  const { lastRevocation, epoch } = await control.read(0);
  const id = current?.id ?? randomBytes(16).toString('base64url');
  if (!current && limit !== undefined && !(await limits.take(request, key, id, limit, leaseMs))) return undefined;
  const issuedAt = clock.now();
  const shared = {
    ...key,
    id,
    generation: (current?.generation ?? 0) + 1,
    login: (current?.generation ?? 0) + 1,
    serial: nextSerial(current, issuedAt),
    createdAt: current?.createdAt ?? issuedAt,
    issuedAt,
    sinceRevocation: current?.sinceRevocation ?? lastRevocation,
    epoch,
    issuer,
    bound,
    account: accountRef(account),
    fingerprint: current?.fingerprint ?? fingerprint(id),
  };
  const entry = openEntryOf(shared);
  entries.put(entry);
  return { key, id, issuedAt, entry, seal: (backendToken) => vault.seal(shared, backendToken) };
}

/** Phase 2: the record of the new backend session, not stored yet, or the refusal. */
async function logIn(options: LoginOptions, turn: LoginTurn, prepared: Prepared): Promise<SessionRecord | LoggedIn> {
  const { store, limits, events, ending, onRefused, entries } = options;
  const { request, observed, lockId, leaseMs } = turn;
  const { backend, account, limit } = request;
  const { key, id, issuedAt, entry, seal } = prepared;
  const held = await heldBack(options, request);
  if (held) {
    if (!observed.record && limit !== undefined) await limits.leave(request, key, id).catch(() => undefined);
    entries.remove(entry);
    return held;
  }
  // Each cookie is on record before the next step is taken: a process that is killed in the middle leaves a
  // pending logout, and another replica logs the half-finished session out.
  let partial: BackendTokenSecret | undefined;
  const checkpoint = (backendToken: BackendTokenSecret) => {
    partial = backendToken;
    return store.checkpoint(key, lockId, { record: seal(backendToken), due: issuedAt + leaseMs });
  };
  const result = await backend
    .login(account, checkpoint)
    .catch(
      (): LoginResult => ({ ok: false, code: 'session.login_failed', detail: 'fault', unanswered: true, partial }),
    );
  const refused = !result.ok && result.code === 'session.login_failed';
  if (result.ok || refused) await noteAnswer(options, request, result.ok);
  if (result.ok) return seal(result.backendToken);
  if (refused) onRefused(request);
  if (!observed.record && limit !== undefined) await limits.leave(request, key, id).catch(() => undefined);
  const client = { id: request.bound.client_id, subject: request.bound.subject, issuer: request.issuer };
  const failing = because('the login failed', request.decision);
  void events({
    ...{ type: 'login_failed', backend: backend.name, refused: refused && !result.unanswered },
    ...{ detail: result.detail, cause: failing, client },
  });
  // Told before the lock is given back, since that removes what the store knows of this login.
  if (result.unanswered)
    await events({
      ...{ type: 'login_abandoned', key, client },
      cause: because('the backend did not answer', request.decision),
    });
  let unnoted = false;
  if (result.partial) unnoted = !(await ending.discardToken(seal(result.partial), failing));
  else entries.remove(entry);
  const { code, detail, retryAfterSeconds } = result;
  return { ...refusedSession(code, detail), retryAfterSeconds, unnoted };
}

/** Why no login may begin now: it would be one too many for the backend or for the account, or nobody can tell. */
async function heldBack({ quotas, credentialsRef }: LoginOptions, { backend, account }: SessionRequest) {
  const ms = await quotas.login(backend.name, credentialsRef(account), backend.quota).catch(() => undefined);
  if (ms === undefined) return refusedSession('session.unavailable', 'the store did not answer');
  if (ms === 0) return undefined;
  const seconds = Math.ceil(ms / 1000);
  const detail = `no login for ${seconds} s: "limits" of the backend allow no other (logins_per_minute, failed_logins)`;
  return { ...refusedSession('session.login_failed', detail), retryAfterSeconds: seconds };
}

/** A failing store loses this count, and lets no further login begin while it fails. */
const noteAnswer = ({ quotas, credentialsRef }: LoginOptions, { backend, account }: SessionRequest, ok: boolean) =>
  quotas.answered(backend.name, credentialsRef(account), ok, backend.quota).catch(() => undefined);

/** Phase 3. The store takes the record only with the lock, on the generation and revocation count observed. */
async function keep(
  options: LoginOptions,
  turn: LoginTurn,
  { key, issuedAt }: Prepared,
  record: SessionRecord,
): Promise<LoggedIn> {
  const { store, retirement, ending, events, endsAt, clock, handOut, seen } = options;
  const { request, observed, lockId, leaseMs } = turn;
  const cause = because(turn.cause, request.decision);
  const { backend } = request;
  const stored = await store
    .commit(key, lockId, observed, record, retirement.due(backend))
    .catch(() => 'failed' as const);
  ending.noteChange(key);
  if (stored !== true) {
    const unnoted = !(await ending.discardToken(record, because('not stored', request.decision)));
    if (stored === 'failed') {
      // Perhaps only the answer was lost, and the record was written: it must not be found by anybody.
      await store.revoke(key, clock.now(), record).catch(() => undefined);
      return { ...refusedSession('session.unavailable', 'the session could not be stored'), unnoted };
    }
    if (!unnoted) await store.unlockLogin(key, lockId, undefined).catch(() => undefined);
    return handOut.instead(observed, await store.get(key), request);
  }
  void events({ type: observed.record ? 'session_rotated' : 'session_opened', record, cause });
  seen.note(record, observed.revocations);
  if (observed.record) retirement.retireLogin(observed.record, cause);
  // The session is looked at when its time is over; and once soon, in case this replica dies before the check below.
  const over = Math.min(endsAt(record), lastsUntil(record), issuedAt + leaseMs);
  await store.remind(key, over).catch(() => undefined);
  return confirm(options, turn, key, record);
}

/** A revocation may have come while the login was under way, and found no record to remove. */
async function confirm(
  { store, control, ending, handOut }: LoginOptions,
  { request, observed }: LoginTurn,
  key: SessionKey,
  record: SessionRecord,
): Promise<Acquired> {
  const [now, state] = await Promise.all([store.get(key), control.read(0)]);
  if (isRevoked(state, record)) await ending.end(key, 'revoked during its login', record);
  else if (now.record && now.revocations === observed.revocations)
    return sameVersion(now.record, record) ? handOut.own(record, request) : handOut.other(now.record, request);
  return refusedSession('session.revoked', 'revoked during its login');
}
