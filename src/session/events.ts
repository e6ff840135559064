// What happens to sessions, for the audit log. Fingerprints only.
import type { LogoutResult } from '../backend/port.ts';
import type { SessionKey, SessionRecord } from './record.ts';

export type SessionEvent =
  | {
      type: 'session_opened' | 'session_rotated' | 'session_renewed' | 'session_revoked';
      record: SessionRecord;
      cause: string;
    }
  | { type: 'session_ended'; record: SessionRecord; cause: string; proof: LogoutResult; drained: boolean }
  | { type: 'session_unopenable'; record: SessionRecord }
  /** A replica died during a login. What the backend opened for it, if anything, nobody can log out. */
  | { type: 'login_abandoned'; key: SessionKey }
  | { type: 'login_failed'; backend: string; detail: string };

export type SessionEvents = (event: SessionEvent) => void;
