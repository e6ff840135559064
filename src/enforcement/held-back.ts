// Clients whose calls made a rule run away. Their calls that could do it again are refused without asking the policy, for a
// time that grows: each one that is asked holds the process for the time of the guard, and the calls of all others wait.
import { BoundedCache } from '../core/bounded-cache.ts';
import { LARGE_BYTES } from '../decision/guard/care.ts';

export interface HeldBack {
  /** Seconds for which calls of the client with an input of this length, under the guard, are refused; 0 when they are not. */
  seconds(client: string, length: number): number;
  /** An evaluation for the client was cut. Answers for how many seconds it is held back. */
  cut(client: string, length: number): number;
}

const FIRST_SECONDS = 1;
const LONGEST_SECONDS = 300;
/** Most clients that are remembered. Whoever was held back longest ago is forgotten first. */
const MOST = 10_000;

/** `now`: in milliseconds since 1970. */
export function createHeldBack(now: () => number): HeldBack {
  const known = new BoundedCache<string, { until: number; seconds: number; from: number }>(MOST);
  return {
    seconds(client, length) {
      const held = known.size === 0 ? undefined : known.get(client);
      return held === undefined || length < held.from ? 0 : Math.max(0, Math.ceil((held.until - now()) / 1000));
    },
    cut(client, length) {
      const before = known.get(client);
      // Whoever kept still for as long as it was held back begins anew.
      const again = before !== undefined && now() < before.until + before.seconds * 1000;
      const seconds = again ? Math.min(before.seconds * 2, LONGEST_SECONDS) : FIRST_SECONDS;
      // What is small goes on, unless it was a small one that was cut.
      const from = Math.min(LARGE_BYTES, length / 2, again ? before.from : LARGE_BYTES);
      known.set(client, { until: now() + seconds * 1000, seconds, from });
      return seconds;
    },
  };
}
