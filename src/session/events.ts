// What happens to sessions, for the audit log. An event carries the whole record; the log takes only fingerprints
// from it.
import type { SessionKey, SessionRecord } from './record.ts';

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
  | { type: 'session_ended'; record: SessionRecord; cause: string; proof: 'dead' | 'residual'; drained: boolean }
  /** The backend does not answer; the logout is tried again. */
  | { type: 'logout_pending'; record: SessionRecord; cause: string }
  /**
   * The record does not open: its backend or sealing key is not known here, or somebody has changed it.
   */
  | { type: 'session_unopenable'; record: SessionRecord }
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
