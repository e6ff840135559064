// What happens to sessions, for the audit log. Fingerprints only.
import type { SessionKey, SessionRecord } from './record.ts';

export type SessionEvent =
  | {
      type: 'session_opened' | 'session_rotated' | 'session_renewed' | 'session_revoked';
      record: SessionRecord;
      cause: string;
    }
  | { type: 'session_ended'; record: SessionRecord; cause: string; proof: 'dead' | 'residual'; drained: boolean }
  /** The backend does not answer; the logout is tried again. */
  | { type: 'logout_pending'; record: SessionRecord; cause: string }
  | { type: 'session_unopenable'; record: SessionRecord }
  /** A replica died during a login. What the backend opened for it, if anything, nobody can log out. */
  | { type: 'login_abandoned'; key: SessionKey }
  | { type: 'login_failed'; backend: string; detail: string };

export type SessionEvents = (event: SessionEvent) => void;
