// Counts the calls of this process that are using a backend token, so that it is not logged out under them.
import type { SessionVersion } from '../store.ts';

/**
 * The calls that are using each version of a session. Calls on other replicas are counted by `SessionStore.drained`.
 */
export interface InUse {
  /** Counts a call as using this version. The function returned ends that use; a second call of it does nothing. */
  take(version: SessionVersion): () => void;
  /** Resolves true when no call uses this version any more, or false after `limitMs`. */
  drained(version: SessionVersion, limitMs: number): Promise<boolean>;
}

const name = ({ id, generation }: SessionVersion): string => `${id}:${generation}`;

/** Makes an empty count, in memory. */
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
