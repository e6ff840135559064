// The port behind which session records are kept. Replicas meet here: whatever two of them could do
// at the same time is one atomic step of the store.
import type { ClientRef } from '../identity/client.ts';
import type { SessionKey, SessionRecord } from './record.ts';

/**
 * Names one state of one session. Each session counts its generations from 1, so the session id is part of the name.
 */
export type SessionVersion = Pick<SessionRecord, 'id' | 'generation'>;

/**
 * A session as it was read, and how often it had been revoked by then. `record` is undefined when there is none, and
 * when there is something that makes no sense (`damaged` is its text): then somebody has written to the store.
 */
export interface SessionSnapshot {
  record: SessionRecord | undefined;
  revocations: number;
  damaged?: string;
}

/**
 * The answer to a request for the login lock, which is the right to log in for one session. One login holds it over
 * all replicas until it gives it back or the lease ends. `held`: another login holds it. `paused`: a login for
 * this session failed moments ago. `changed`: the session is no longer as it was observed.
 */
export type LoginLock =
  | { kind: 'locked'; lockId: string }
  | { kind: 'held' }
  | { kind: 'paused'; code: string }
  | { kind: 'changed'; now: SessionSnapshot };

/** A backend token that has to be logged out, and by when that should have been done. */
export interface PendingLogout {
  record: SessionRecord;
  /** When the logout becomes overdue, in milliseconds since 1970. */
  due: number;
}

/**
 * Work that somebody has left behind. The name says what it is; see `pendingOf`. The record of a login is what it had
 * received by then, if anything; that of older values is the record that was in use.
 */
export interface OverdueLogout {
  key: SessionKey;
  /** Names the pending logout, for `removePendingLogout`. */
  name: string;
  record: SessionRecord | undefined;
}

/** Keeps session records, login locks and pending logouts. Every method rejects when the store does not answer in time. */
export interface SessionStore {
  /** Reads the record at present, and how often the session has been revoked so far. */
  get(key: SessionKey): Promise<SessionSnapshot>;
  /**
   * Takes the login lock for `leaseMs`, if the session is still as it was observed and nobody holds the lock. In the
   * same step the login becomes a pending logout that is overdue when the lease ends, so that a crash is noticed
   * (R-27).
   */
  lockLogin(key: SessionKey, observed: SessionSnapshot, leaseMs: number): Promise<LoginLock>;
  /**
   * Records the backend token that a login has so far, in place of what it recorded before, until the login ends
   * . Rejects when the store does not know of the login any more: a login that is not on record must not go on.
   */
  checkpoint(key: SessionKey, lockId: string, logout: PendingLogout): Promise<void>;
  /**
   * Stores the record of a login and gives the login lock back. Answers false and stores nothing when the lease has
   * run out or the session is not as it was observed: a writer that was paused overwrites nothing, and nothing
   * comes back after a revocation. The record that is replaced becomes a pending logout in the same step, due
   * at `due`, and so do the superseded values of its login.
   */
  commit(
    key: SessionKey,
    lockId: string,
    observed: SessionSnapshot,
    record: SessionRecord,
    due: number,
  ): Promise<boolean>;
  /**
   * Gives the login lock back after a login that failed, and removes the pending logout of that login. With `pause`,
   * further attempts are answered `paused` for `pause.ms` milliseconds.
   */
  unlockLogin(key: SessionKey, lockId: string, pause: { code: string; ms: number } | undefined): Promise<void>;
  /**
   * Replaces exactly this version, because the backend has changed the token. The value that was in use is kept
   * as superseded in the same step. Answers false when the session is at another version or gone.
   */
  replace(key: SessionKey, current: SessionVersion, record: SessionRecord): Promise<boolean>;
  /**
   * Keeps a value beside the one in use until their login ends. Of more than `MOST_SUPERSEDED` only the number
   * of the oldest is kept. Answers false when the session is of another login by now, or gone.
   */
  supersede(key: SessionKey, record: SessionRecord): Promise<boolean>;
  /**
   * In one step removes the record, counts a revocation, and adds a pending logout that is due at `due` for it and for
   * each superseded value of its login.
   * Answers the record that was removed. With `version`, nothing happens unless the record is exactly that version,
   * or the damaged row exactly that text;
   * without it, the revocation counts even when there is no record, so that a login under way cannot store its
   * session.
   */
  revoke(key: SessionKey, due: number, version?: SessionVersion | { row: string }): Promise<SessionRecord | undefined>;

  /**
   * Adds a pending logout before the logout is tried, so that a crash in between leaves it to another replica.
   */
  addPendingLogout(key: SessionKey, logout: PendingLogout): Promise<void>;
  /** Removes a pending logout: the backend token is dead, or it is on record as a residual risk. */
  removePendingLogout(key: SessionKey, name: string): Promise<void>;
  /** All pending logouts of the session, due or not. */
  pendingLogouts(key: SessionKey): Promise<OverdueLogout[]>;
  /**
   * Makes `takeOverdue` visit the session at that time (milliseconds since 1970), whatever becomes of it until then.
   */
  remind(key: SessionKey, at: number): Promise<void>;
  /**
   * Takes the pending logouts that are overdue at `now`, whoever left them, and puts each off until `until`, so that
   * one replica works on it. It comes again until it is removed. Also calls `visit` for each session whose reminder
   * has come; when that rejects, the reminder comes again.
   */
  takeOverdue(now: number, until: number, visit: (key: SessionKey) => Promise<void>): Promise<OverdueLogout[]>;

  /**
   * Takes the turn in which the calls of one session wait for each other, or keeps it for `leaseMs` more. Answers
   * false while somebody else has it. Whoever took it gives it back, under the same `who`.
   */
  takeTurn(key: SessionKey, who: string, leaseMs: number): Promise<boolean>;
  giveTurn(key: SessionKey, who: string): Promise<void>;

  /**
   * Waits until every call of the client that may have observed the session before now has ended. Answers false when
   * `limitMs` have passed first.
   */
  drained(owner: ClientRef, limitMs: number): Promise<boolean>;
  /**
   * All records at present, in no order, for revocations by a wider selector. Rows that make no sense are left out.
   * When some rows could not be read, the iteration rejects after the last one.
   */
  records(): AsyncIterable<SessionRecord>;
  /** Whether the records end with this process and must be logged out at shutdown. */
  readonly volatile: boolean;
}

/** Whether both name the same version, or neither names any. */
export function sameVersion(a: SessionVersion | null | undefined, b: SessionVersion | null | undefined): boolean {
  return a?.id === b?.id && a?.generation === b?.generation;
}
