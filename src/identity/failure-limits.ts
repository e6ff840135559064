// guesses are limited by source network and by client. Only failures are counted and only
// failures are answered 429: a good credential always passes, so nobody is shut out by a neighbour.

export interface FailureLimits {
  /** Counts one failure. `limited`: there were too many. `first`: this one made it too many. */
  failed(source: string, now: number): { limited: boolean; first: boolean };
}

const MOST_SOURCES = 10_000;
const WINDOW_MS = 60_000;

export function createFailureLimits(perMinute: number): FailureLimits {
  const windows = new Map<string, { began: number; failures: number }>();
  return {
    failed(source, now) {
      let window = windows.get(source);
      if (!window || now - window.began >= WINDOW_MS) {
        window = { began: now, failures: 0 };
        windows.delete(source);
        // The oldest goes: a flood of sources forgets a limit earlier, it never refuses anybody.
        if (windows.size >= MOST_SOURCES) windows.delete(windows.keys().next().value as string);
        windows.set(source, window);
      }
      window.failures += 1;
      return { limited: window.failures > perMinute, first: window.failures === perMinute + 1 };
    },
  };
}
