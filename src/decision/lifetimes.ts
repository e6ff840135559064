// When a session that nobody uses is over, from the numbers of the policy. The policy decides on calls;
// a session whose client never comes back gets none, and must not live on at the backend.
import type { Settings } from './settings.ts';

interface Aged {
  backend: string;
  createdAt: number;
  issuedAt: number;
}

/**
 * The absolute limit, or the idle limit after the last use there can have been: a token in use is
 * replaced at its maximum age, so a token that is older than that has not been used since. Settings of
 * single tools do not count. Infinity when the policy lets sessions live.
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
