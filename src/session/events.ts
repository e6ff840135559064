// What happens to sessions, for the audit log. An event carries the whole record; the log takes only fingerprints
// from it.
import type { OpenEntry, SessionKey, SessionRecord } from './record.ts';

/**
 * What is known of values that were left behind. `dead`: a probe that tells has shown it. `residual`: the probe
 * still passes, or the logout could not be tried. `unproven`: no probe could tell. `superseded`: too many older values
 * of one login to try each.
 */
export const PROOFS = ['dead', 'residual', 'unproven', 'superseded'] as const;
export type Proof = (typeof PROOFS)[number];

/** Why something happened, and the decision that it happened for, where it was one. */
export type Cause = string | { readonly text: string; readonly decision: string };

/** A cause with the decision of the call that brings it about. */
export const because = (cause: Cause, decision: string | undefined): Cause =>
  typeof cause === 'string' && decision !== undefined ? { text: cause, decision } : cause;

/** The cause with more words to it. */
export const withMore = (cause: Cause, more: string): Cause =>
  typeof cause === 'string' ? cause + more : { ...cause, text: cause.text + more };

/** Whose login it was to be, where there is no record that says so. */
export interface LoginClient {
  readonly id: string;
  readonly subject: string;
  readonly issuer: string;
}

/**
 * One event. `cause` says why it happened. `proof` says whether a probe has shown the backend session dead or it is a
 * residual risk. `drained` says whether the calls that used the token had ended before the logout.
 */
export type SessionEvent =
  | {
      type: 'session_opened' | 'session_rotated' | 'session_renewed' | 'session_revoked';
      record: SessionRecord;
      cause: Cause;
    }
  | {
      type: 'session_ended';
      record: SessionRecord;
      cause: Cause;
      proof: Proof;
      drained: boolean;
      /** How many values that stands for, when they are more than one. */
      count?: number;
    }
  /** The backend does not answer; the logout is tried again. */
  | { type: 'logout_pending'; record: SessionRecord; cause: Cause }
  /**
   * The record does not open: its backend or sealing key is not known here, or somebody has changed it.
   */
  | { type: 'session_unopenable'; record: SessionRecord }
  /** A login that nothing in the store answers for any more: the store has lost it, and with it the token. */
  | { type: 'session_lost'; entry: OpenEntry; cause: Cause }
  /** The row makes no sense, so nobody knows which session it was. It is removed. */
  | { type: 'session_damaged'; key: SessionKey }
  /** The store has given an older row than one that this replica has seen. `newer` is the one it had seen. */
  | { type: 'session_rolled_back'; record: SessionRecord; newer: SessionRecord }
  /** An answer that may have renewed the session never came: a value that nobody knows may be live. */
  | { type: 'renewal_lost'; record: SessionRecord }
  /**
   * Nobody knows how a login ended: its replica died, or the backend did not answer. If the backend opened a session
   * for it, nobody knows the token, so nobody can log it out.
   */
  | { type: 'login_abandoned'; key: SessionKey; cause: Cause; client?: LoginClient }
  /** `refused`: the backend did not accept the account. */
  | { type: 'login_failed'; backend: string; refused: boolean; detail: string; cause: Cause; client: LoginClient };

/**
 * Receives each event when it happens. Resolves when it is on record, or cannot be. What the store remembers of a
 * session that was left behind is forgotten only after that, so that a crash in between loses nothing.
 */
export type SessionEvents = (event: SessionEvent) => Promise<void>;
