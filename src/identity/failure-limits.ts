// limits guessing at credentials by source network, and at handles by client and network. Only failures are
// counted and only failures are answered with 429: a good credential always passes, so nobody is locked out by
// what a neighbour does.
import { BoundedCache } from '../core/bounded-cache.ts';

/** Counts failures for each source within one minute. */
export interface FailureLimits {
  /**
   * Counts one failure. `limited`: there have been too many in this minute. `first`: this is the failure that
   * exceeded the limit, so one alert is due. `now` is in milliseconds since 1970.
   */
  failed(source: string, now: number): { limited: boolean; first: boolean };
}

/** Most sources that are counted at the same time. */
const MOST_SOURCES = 10_000;
const WINDOW_MS = 60_000;

/** Creates the counters. `perMinute` failures of one source are allowed before it is limited. */
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
