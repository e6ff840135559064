// Counts the calls that are using a token, so that it is not logged out under them.
import type { SessionVersion } from './store.ts';

export interface InUse {
  /** Takes one lease; the function returned gives it back, once. */
  take(version: SessionVersion): () => void;
  /** Resolves true when no lease is left, or false after `limitMs`. */
  drained(version: SessionVersion, limitMs: number): Promise<boolean>;
}

const name = ({ id, generation }: SessionVersion): string => `${id}:${generation}`;

export function createInUse(): InUse {
  const held = new Map<string, { count: number; waiting: (() => void)[] }>();
  return {
    take(version) {
      const key = name(version);
      const entry = held.get(key) ?? { count: 0, waiting: [] };
      entry.count += 1;
      held.set(key, entry);
      let given = false;
      return () => {
        if (given) return;
        given = true;
        entry.count -= 1;
        if (entry.count > 0) return;
        if (held.get(key) === entry) held.delete(key);
        for (const wake of entry.waiting) wake();
      };
    },
    drained(version, limitMs) {
      const entry = held.get(name(version));
      if (!entry) return Promise.resolve(true);
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(false), limitMs);
        entry.waiting.push(() => {
          clearTimeout(timer);
          resolve(true);
        });
      });
    },
  };
}
