// Sessions of the embedded legacy application. They are kept on the server, named by the JSESSIONID cookie, and end
// by an idle and an absolute timeout. Requests are counted, so that tests can see what really reached the backend.

import { randomBytes } from 'node:crypto';
import { BoundedCache } from '../../core/bounded-cache.ts';

/** One session on the legacy side. Times are in milliseconds since 1970. */
export interface LegacySession {
  readonly id: string;
  /** The id that the login gave. A session that is renewed or copied goes on under other ids, but is of one login. */
  readonly login: string;
  /** Null for the anonymous session that the login page opens, as servlet containers do. */
  user: string | null;
  csrf: string;
  readonly formTokens: Set<string>;
  readonly openedAt: number;
  usedAt: number;
  calls: number;
}

/** How long a session lives without use, and at most. */
export interface Timeouts {
  idleSeconds: number;
  absoluteSeconds: number;
}

const token = () => randomBytes(16).toString('hex').toUpperCase();
/** Sessions held at most; when there are more, the oldest is dropped. */
const MOST = 200_000;

/** An empty table of sessions. `now`: milliseconds since 1970. */
export function createLegacySessions(now: () => number, timeouts: Timeouts) {
  const sessions = new BoundedCache<string, LegacySession>(MOST);
  return {
    /** Opens a session; `of` is the login that it goes on with, if any. */
    open(user: string | null, of?: string): LegacySession {
      const id = token();
      const session = {
        id,
        login: of ?? id,
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
    /** The session if it still lives. Its idle timeout starts again. */
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
    /** Logged-in sessions. Those past their timeout are included until the next request with their id. */
    live: () => [...sessions.values()].filter((session) => session.user !== null),
  };
}

/** The table of all sessions of the legacy application. */
export type LegacySessions = ReturnType<typeof createLegacySessions>;
