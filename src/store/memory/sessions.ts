// Session records in this process. They end with it, so shutdown logs them out.
import { createKeyedMutex } from '../../core/mutex.ts';
import type { SessionRecord } from '../../session/record.ts';
import { type SessionStore, sameVersion } from '../../session/store.ts';
import { createMemoryKeyv } from './keyv.ts';

/** Longer than any absolute limit a policy would set; the policy ends sessions, this only bounds memory. */
const TTL_MS = 7 * 24 * 3_600_000;

export function createMemorySessions({ sessions }: { sessions: number }): SessionStore {
  const records = createMemoryKeyv<SessionRecord>('sessions', sessions);
  const keys = new Set<string>();
  const mutex = createKeyedMutex();
  return {
    get: (key) => records.get(key),
    compareAndSet: (key, expected, record) =>
      mutex.run(key, async () => {
        const current = await records.get(key);
        if (!sameVersion(current, expected)) return false;
        await records.set(key, record, TTL_MS);
        keys.add(key);
        return true;
      }),
    remove: (key) =>
      mutex.run(key, async () => {
        const current = await records.get(key);
        await records.delete(key);
        keys.delete(key);
        return current;
      }),
    async volatileRecords() {
      const found: SessionRecord[] = [];
      for (const key of keys) {
        const record = await records.get(key);
        if (record) found.push(record);
        else keys.delete(key);
      }
      return found;
    },
  };
}
