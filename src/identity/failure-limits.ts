// guesses are limited by source network and by client. Only failures are counted and only
// failures are answered 429: a good credential always passes, so nobody is shut out by a neighbour.
import { BoundedCache } from '../core/bounded-cache.ts';

export interface FailureLimits {
  /** Counts one failure. `limited`: there were too many. `first`: this one made it too many. */
  failed(source: string, now: number): { limited: boolean; first: boolean };
}

const MOST_SOURCES = 10_000;
const WINDOW_MS = 60_000;

export function createFailureLimits(perMinute: number): FailureLimits {
  const windows = new BoundedCache<string, { began: number; failures: number }>(MOST_SOURCES);
  return {
    failed(source, now) {
      let window = windows.get(source);
      if (!window || now - window.began >= WINDOW_MS) {
        window = { began: now, failures: 0 };
        // A flood of sources makes a limit be forgotten earlier; it never makes anybody be refused.
        windows.set(source, window);
      }
      window.failures += 1;
      return { limited: window.failures > perMinute, first: window.failures === perMinute + 1 };
    },
  };
}
