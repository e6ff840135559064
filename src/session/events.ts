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

/**
 * One event. `cause` says why it happened. `proof` says whether a probe has shown the backend session dead or it is a
 * residual risk. `drained` says whether the calls that used the token had ended before the logout.
 */
export type SessionEvent =
  | {
      type: 'session_opened' | 'session_rotated' | 'session_renewed' | 'session_revoked';
      record: SessionRecord;
      cause: string;
    }
  | {
      type: 'session_ended';
      record: SessionRecord;
      cause: string;
      proof: Proof;
      drained: boolean;
      /** How many values that stands for, when they are more than one. */
      count?: number;
    }
  /** The backend does not answer; the logout is tried again. */
  | { type: 'logout_pending'; record: SessionRecord; cause: string }
  /**
   * The record does not open: its backend or sealing key is not known here, or somebody has changed it.
   */
  | { type: 'session_unopenable'; record: SessionRecord }
  /** A login that nothing in the store answers for any more: the store has lost it, and with it the token. */
  | { type: 'session_lost'; entry: OpenEntry; cause: string }
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
  | { type: 'login_abandoned'; key: SessionKey; cause: string }
  | { type: 'login_failed'; backend: string; detail: string };

/**
 * Receives each event when it happens. Resolves when it is on record, or cannot be. What the store remembers of a
 * session that was left behind is forgotten only after that, so that a crash in between loses nothing.
 */
export type SessionEvents = (event: SessionEvent) => Promise<void>;
