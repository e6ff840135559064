// Runs work one at a time for each key, within this process, in the order of arrival.

/** A queue for each key. */
export interface KeyedMutex {
  /**
   * Runs `work` when all earlier work for the key has ended, whether it failed or not, and answers what it
   * answers.
   */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Whether work for this key is running or waiting. */
  busy(key: string): boolean;
}

/** Creates a mutex without any work. */
export function createKeyedMutex(): KeyedMutex {
  const tails = new Map<string, Promise<unknown>>();
  return {
    busy: (key) => tails.has(key),
    async run(key, work) {
      const before = tails.get(key);
      const turn = before ? before.then(work, work) : work();
      const tail = turn.catch(() => {});
      tails.set(key, tail);
      try {
        return await turn;
      } finally {
        if (tails.get(key) === tail) tails.delete(key);
      }
    },
  };
}
