// When failures are guesses: which are counted, when there are too many, and which are worth an alert.
// Only failures are counted and only failures are answered with 429: a good credential always passes, so nobody is
// locked out by what a neighbour does.

import { BoundedCache } from '../core/bounded-cache.ts';
import type { AuthFailure } from './failures.ts';

/** Why a person should hear of a failure: a proof was used twice, or there were too many failures from there. */
export type GuessAlert = 'proof_replayed' | 'too_many';

/** `limited`: the answer is 429. `alert`: what to raise, at most once for a source in a minute. */
export interface Guess {
  limited: boolean;
  alert: GuessAlert | undefined;
}

export interface Guessing {
  /** A credential from this network was not accepted. */
  credential(failure: AuthFailure, network: string): Guess;
  /** A client that is known by `ref` named a handle that is not its own. */
  handle(ref: string, network: string): Guess;
}

const NO_GUESS: Guess = { limited: false, alert: undefined };

/** `perMinute`: failures of one source that are answered as usual. `now`: milliseconds since 1970. */
export function createGuessing(perMinute: () => number, now: () => number): Guessing {
  const limits = createFailureLimits(perMinute);
  const count = (source: string): Guess => {
    const { limited, first } = limits.failed(source, now());
    return { limited, alert: first ? 'too_many' : undefined };
  };
  return {
    credential(failure, network) {
      // Only the nonce had run out and everything else about the proof was right; or nothing could be verified at all.
      if (failure === 'proof_nonce_stale' || failure === 'unavailable') return NO_GUESS;
      const guess = count(`source ${network}`);
      // The copy of a proof that was used before is an attack by itself, however few there are.
      return failure === 'proof_replayed' ? { ...guess, alert: 'proof_replayed' } : guess;
    },
    // By client and source together: somebody who guesses under the same client id elsewhere slows nobody else down.
    handle: (ref, network) => count(`handle ${ref} ${network}`),
  };
}

/** Counts failures for each source within one minute. */
interface FailureLimits {
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
function createFailureLimits(perMinute: () => number): FailureLimits {
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
      const most = perMinute();
      return { limited: window.failures > most, first: window.failures === most + 1 };
    },
  };
}
