// the number of sessions that one client id of one issuer may have at the same time is limited, over all its subjects,
// backends and replicas. A place is counted and taken in one step, so that two logins at once cannot both take the
// last one.
import type { SessionKey, SessionRecord } from './record.ts';

/** Whose sessions are counted: two issuers may give the same client id to two clients. */
export interface Holder extends Pick<SessionRecord, 'issuer'> {
  bound: Pick<SessionRecord['bound'], 'client_id'>;
}

/**
 * The places for sessions, by client id. Only a login that is given a limit takes one. Every method rejects when the
 * store does not answer.
 */
export interface SessionLimits {
  /**
   * Takes a place for the session, whose id is `id`. Answers false when `limit` other places are taken, by sessions
   * that live or by logins whose lease of `leaseMs` has not ended. A session that already has a place keeps it,
   * whatever the limit is now.
   */
  take(holder: Holder, session: SessionKey, id: string, limit: number, leaseMs: number): Promise<boolean>;
  /** Gives the place back, unless a session with another id has taken it since. */
  leave(holder: Holder, session: SessionKey, id: string): Promise<void>;
}
