// The calls that are under way, also those whose client has hung up: a connector that stops waits for them.
import type { Pipeline } from './pipeline.ts';

export interface Calls {
  readonly pipeline: Pipeline;
  /** Resolves when no call is under way. No more come then: whoever waits has closed the way in. */
  settled(): Promise<void>;
}

/**
 * The calls are only counted. A Set of them would be renewed all the time, and V8 lets each of its old tables point to the
 * next: once one of them is old, it keeps the calls of all of them in memory until the next full collection.
 */
export function countCalls(pipeline: Pipeline): Calls {
  let underWay = 0;
  let waiting: (() => void)[] = [];
  return {
    async pipeline(call) {
      underWay += 1;
      try {
        return await pipeline(call);
      } finally {
        underWay -= 1;
        if (underWay === 0) {
          for (const wake of waiting) wake();
          waiting = [];
        }
      }
    },
    settled: () => (underWay === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
