// The time of the server. Every age, limit and window is computed from it, never from what a client says.

/** Answers milliseconds since 1970. */
export interface Clock {
  now(): number;
}

/**
 * Wall time that never goes back: when the clock of the machine is stepped back, time goes on at the pace of the
 * monotonic clock. Otherwise a step of one hour would let every backend token live an hour longer.
 */
export function createSystemClock(): Clock {
  let wall = Date.now();
  let monotonic = performance.now();
  return {
    now() {
      const elapsed = wall + (performance.now() - monotonic);
      const system = Date.now();
      if (system > elapsed) {
        wall = system;
        monotonic = performance.now();
        return system;
      }
      return Math.floor(elapsed);
    },
  };
}

/**
 * Whole seconds from milliseconds, never negative: a record that seems to come from the future has age 0 and is
 * not an error.
 */
export function wholeSeconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000));
}
