// The calls that are under way, also those whose client has hung up: a connector that stops waits for them.
import type { Pipeline } from './pipeline.ts';

export interface Calls {
  readonly pipeline: Pipeline;
  /** Resolves when every call that has begun by now has ended. */
  settled(): Promise<void>;
}

export function countCalls(pipeline: Pipeline): Calls {
  const underWay = new Set<Promise<unknown>>();
  return {
    pipeline(call) {
      const running = pipeline(call).finally(() => underWay.delete(running));
      underWay.add(running);
      return running;
    },
    async settled() {
      await Promise.allSettled(underWay);
    },
  };
}
