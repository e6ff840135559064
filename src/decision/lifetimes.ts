// Computes from the limits of the policy when a session that nobody uses is over. The policy only decides on
// calls; without this, a session whose client never comes back would live on at the backend.
import type { Settings } from './settings.ts';

/** What of a session its end depends on. Times are in milliseconds since 1970. */
export interface Aged {
  backend: string;
  createdAt: number;
  issuedAt: number;
}

/**
 * Makes a function that answers the end of a session, in milliseconds since 1970: its absolute limit, or the idle
 * limit after the last time it can have been used, whichever is first. A backend token in use is replaced at its
 * maximum age, so an older one has not been used since. Settings of single tools are ignored. Infinity: the
 * policy sets no end.
 */
export function endOfSession({ lifetime, backends }: Settings): (record: Aged) => number {
  return ({ backend, createdAt, issuedAt }) => {
    const own = backends[backend]?.lifetime ?? {};
    const [absolute, idle, age] = (['absolute', 'idle', 'token_age'] as const).map((name) => ({
      ...lifetime[name],
      ...own[name],
    })) as [Limit, Limit, Limit];
    const after = (limit: Limit) => (limit.grade === 'allow' ? Number.POSITIVE_INFINITY : limit.limit_seconds * 1000);
    return Math.min(createdAt + after(absolute), issuedAt + after(age) + after(idle));
  };
}

type Limit = Settings['lifetime']['idle'];
