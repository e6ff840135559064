import type { Clock } from '../../src/core/clock.ts';

export interface TestClock extends Clock {
  advance(seconds: number): void;
}

/** A clock that stands still until a test moves it. */
export function createTestClock(start = Date.parse('2026-11-23T09:00:00Z')): TestClock {
  let now = start;
  return {
    now: () => now,
    advance(seconds) {
      now += seconds * 1000;
    },
  };
}
