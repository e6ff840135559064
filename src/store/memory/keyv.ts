// keyv over a bounded in-process Map. No serialisation: values stay what they are.
import { Keyv } from 'keyv';
import { BoundedMap } from './bounded-map.ts';

export function createMemoryKeyv<T>(namespace: string, most: number): Keyv<T> {
  return new Keyv<T>({
    namespace,
    store: new BoundedMap(most, Date.now),
    // Without this keyv turns a failing store into a miss, and a miss into an allowed call.
    throwOnErrors: true,
    serialize: undefined as never,
    deserialize: undefined as never,
    useKeyPrefix: false,
  });
}
