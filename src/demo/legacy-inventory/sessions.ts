// Sessions of the embedded legacy application: server-side, named by JSESSIONID, ended by idle and
// absolute timeouts. Counted, so that tests can ask the legacy side what really happened.

import { randomBytes } from 'node:crypto';
import { BoundedCache } from '../../core/bounded-cache.ts';

export interface LegacySession {
  readonly id: string;
  /** Null until someone has logged in: the login page opens a session of its own, as servlets do. */
  user: string | null;
  csrf: string;
  readonly formTokens: Set<string>;
  readonly openedAt: number;
  usedAt: number;
  calls: number;
}

export interface Timeouts {
  idleSeconds: number;
  absoluteSeconds: number;
}

const token = () => randomBytes(16).toString('hex').toUpperCase();
const MOST = 200_000;

export function createLegacySessions(now: () => number, timeouts: Timeouts) {
  const sessions = new BoundedCache<string, LegacySession>(MOST);
  return {
    open(user: string | null): LegacySession {
      const session = {
        id: token(),
        user,
        csrf: token(),
        formTokens: new Set<string>(),
        openedAt: now(),
        usedAt: now(),
        calls: 0,
      };
      sessions.set(session.id, session);
      return session;
    },
    /** The session if it still lives; using it slides the idle timeout. */
    use(id: string | undefined): LegacySession | undefined {
      const session = id === undefined ? undefined : sessions.get(id);
      if (!session) return undefined;
      const at = now();
      if (
        at - session.usedAt >= timeouts.idleSeconds * 1000 ||
        at - session.openedAt >= timeouts.absoluteSeconds * 1000
      ) {
        sessions.delete(session.id);
        return undefined;
      }
      session.usedAt = at;
      return session;
    },
    end: (id: string) => void sessions.delete(id),
    endAll: () => sessions.clear(),
    live: () => [...sessions.values()].filter((session) => session.user !== null),
  };
}

export type LegacySessions = ReturnType<typeof createLegacySessions>;
