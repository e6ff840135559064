// The port behind which session records are kept. Replicas meet here: whatever two of them could do
// at the same time is one atomic step of the store.
import type { ClientRef } from '../identity/client.ts';
import type { SessionKey, SessionRecord } from './record.ts';

/** Names one state of one session. Generations begin again with each session, so the id belongs to it. */
export type SessionVersion = Pick<SessionRecord, 'id' | 'generation'>;

/** A session as it was seen, and how often it had been revoked by then. */
export interface SessionSnapshot {
  record: SessionRecord | undefined;
  revocations: number;
}

/**
 * The right to log in for one session, held by one caller over all replicas until its lease ends
 * . `paused`: a login for this session failed moments ago. `busy`: somebody else holds it.
 * `changed`: the session is no longer as it was seen.
 */
export type LoginLock =
  | { kind: 'locked'; lockId: string }
  | { kind: 'held' }
  | { kind: 'paused'; code: string }
  | { kind: 'changed'; now: SessionSnapshot };

/** A token that has to be logged out at its backend, and by when that should have been done. */
export interface PendingLogout {
  record: SessionRecord;
  /** Milliseconds since the epoch. */
  due: number;
}

/**
 * What somebody has left to do. Without a record: a login that was begun and never ended. If the
 * backend had opened a session by then, nobody knows its token.
 */
export interface OverdueLogout {
  key: SessionKey;
  /** For `paid`. */
  name: string;
  record: SessionRecord | undefined;
}

/** Debts are named by their token: two logins for one generation are two debts. */
export const pendingLogoutName = (record: SessionRecord): string => record.tokenFingerprint;

/** Every method rejects when the store cannot answer in time, or when what is stored has no sense. */
export interface SessionStore {
  get(key: SessionKey): Promise<SessionSnapshot>;
  lockLogin(key: SessionKey, seen: SessionSnapshot, leaseMs: number): Promise<LoginLock>;
  /**
   * Remembers what a login has so far, in place of what it had before, until the login ends.
   * Rejects when its permit is not known any more: what is not recorded must not be gone on with.
   */
  checkpoint(key: SessionKey, lockId: string, debt: PendingLogout): Promise<void>;
  /**
   * Stores the record of a login and gives the permit back. False, and nothing stored, when the
   * permit has run out or the session is not as it was seen: a writer that was paused overwrites
   * nothing, and nothing comes back after a revocation. The record it replaces becomes
   * a debt in the same step.
   */
  commit(key: SessionKey, lockId: string, seen: SessionSnapshot, record: SessionRecord, due: number): Promise<boolean>;
  /** Gives the permit back after a login that failed; others are told to pause for so long. */
  unlockLogin(key: SessionKey, lockId: string, pause: { code: string; ms: number } | undefined): Promise<void>;
  /** Replaces exactly this record: the backend has changed the token. */
  replace(key: SessionKey, current: SessionVersion, record: SessionRecord): Promise<boolean>;
  /** Removes the record (of exactly this version, when one is given), counts a revocation, and makes it a debt. */
  revoke(key: SessionKey, due: number, version?: SessionVersion): Promise<SessionRecord | undefined>;

  /** Remembers a token that is to be logged out, before anything can go wrong. */
  addPendingLogout(key: SessionKey, debt: PendingLogout): Promise<void>;
  /** Nobody has to see to it any more. */
  removePendingLogout(key: SessionKey, name: string): Promise<void>;
  /** Has the session listed by `overdue` at that time, whatever becomes of it. */
  remind(key: SessionKey, at: number): Promise<void>;
  /**
   * Debts that are overdue, for whoever is alive. Puts each off until `until`, so that one replica sees
   * to it; a login that never ended is told of once. Calls `visit` for each session somebody was to be
   * reminded of; when that rejects, it is reminded of again.
   */
  takeOverdue(now: number, until: number, visit: (key: SessionKey) => Promise<void>): Promise<OverdueLogout[]>;

  /** Waits until no call is under way that may have seen the session before now, or `limitMs` have passed. */
  drained(owner: ClientRef, limitMs: number): Promise<boolean>;
  /** All records at present, in no order; what cannot be read is left out. For revocations by a wider selector. */
  records(): AsyncIterable<SessionRecord>;
  /** Whether the records end with this process and must be logged out at shutdown. */
  readonly volatile: boolean;
}

export function sameVersion(a: SessionVersion | null | undefined, b: SessionVersion | null | undefined): boolean {
  return a?.id === b?.id && a?.generation === b?.generation;
}
