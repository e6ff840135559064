// Server time. Every age, limit and window is computed from here, never from what a client says.

/** Milliseconds since the epoch. */
export interface Clock {
  now(): number;
}

/**
 * Wall time that never goes back and never stands still: when the machine's clock is stepped back,
 * time goes on at the pace of the monotonic clock. Otherwise a step of an hour would lend every
 * backend token an hour of life.
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

/** Milliseconds as whole seconds, never negative: a record from the future is new, not an error. */
export function wholeSeconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000));
}
