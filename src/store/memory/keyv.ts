// keyv over a bounded Map in this process. Nothing is serialised: values stay the objects they are.
import { Keyv } from 'keyv';
import { BoundedMap } from './bounded-map.ts';

export interface MemoryKeyv<T> {
  /** Every write goes through it. */
  keyv: Keyv<T>;
  /** The live value, in this turn of the event loop: what is read and changed in one turn is one step. */
  peek(key: string): T | undefined;
}

/** A keyv store of at most `most` live entries. What goes beyond that rejects instead of displacing others. */
export function createMemoryKeyv<T>(namespace: string, most: number): MemoryKeyv<T> {
  const store = new BoundedMap<{ value: T; expires?: number | null }>(most, Date.now);
  return {
    keyv: new Keyv<T>({
      namespace,
      store,
      // Without this keyv turns a failing store into a miss, and a miss into an allowed call.
      throwOnErrors: true,
      serialize: undefined as never,
      deserialize: undefined as never,
      useKeyPrefix: false,
    }),
    peek(key) {
      const entry = store.get(key);
      return entry && !((entry.expires ?? Number.POSITIVE_INFINITY) < Date.now()) ? entry.value : undefined;
    },
  };
}
