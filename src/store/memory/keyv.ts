// keyv over a bounded Map in this process. Nothing is serialised: values stay the objects they are.
import { Keyv } from 'keyv';
import { BoundedMap } from './bounded-map.ts';

/** A keyv store of at most `most` live entries. What goes beyond that rejects instead of displacing others. */
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
