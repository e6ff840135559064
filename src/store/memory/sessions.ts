// Session records in this process. They end with it, so shutdown logs them out; a process that is
// killed leaves its backend sessions to the backend's own timeouts.

import { randomBytes } from 'node:crypto';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import { createKeyedMutex } from '../../core/mutex.ts';
import { type SessionKey, type SessionRecord, sessionKey } from '../../session/record.ts';
import { pendingLogoutName, type SessionStore, sameVersion } from '../../session/store.ts';
import { createMemoryKeyv } from './keyv.ts';

/** What the session store works with. `drained` is that of the facts, which know the calls under way. */
export interface MemorySessionsOptions {
  clock: Clock;
  /** Most sessions at once. */
  sessions: number;
  drained: SessionStore['drained'];
}

/**
 * How long a record that nobody changes is kept. It is longer than any absolute limit a policy would set: the policy
 * ends sessions, this only bounds memory.
 */
const TTL_MS = 7 * 24 * 3_600_000;
/** Most sessions whose revocations are counted. */
const REVOCATIONS = 100_000;

/** The session store of a single process. A new session is refused when there are as many as `sessions`. */
export function createMemorySessions({ clock, sessions, drained }: MemorySessionsOptions): SessionStore {
  const records = createMemoryKeyv<SessionRecord>('sessions', sessions);
  const keys = new Set<string>();
  const revocations = new BoundedCache<string, number>(REVOCATIONS);
  const locks = new Map<string, { lockId: string; until: number }>();
  const pauses = new Map<string, { code: string; until: number }>();
  /**
   * Pending logouts, by session and name. A login that has begun is one without a record, until it has received a
   * token.
   */
  const pendingLogouts = new Map<
    string,
    { key: SessionKey; name: string; record: SessionRecord | undefined; due: number }
  >();
  const reminders = new Map<string, { key: SessionKey; at: number }>();
  const mutex = createKeyedMutex();
  const addPending = (key: SessionKey, name: string, record: SessionRecord | undefined, due: number) =>
    void pendingLogouts.set(JSON.stringify([sessionKey(key), name]), { key, name, record, due });
  const removePending = (key: SessionKey, name: string) =>
    pendingLogouts.delete(JSON.stringify([sessionKey(key), name]));
  const login = (lockId: string) => `login ${lockId}`;

  async function snapshot(name: string) {
    return { record: await records.get(name), revocations: revocations.get(name) ?? 0 };
  }
  async function put(name: string, record: SessionRecord): Promise<void> {
    await records.set(name, record, TTL_MS);
    keys.add(name);
  }
  const holds = (name: string, lockId: string): boolean => {
    const held = locks.get(name);
    return held?.lockId === lockId && held.until > clock.now();
  };
  /** Runs the work as one step for the session: no other step of the same session runs meanwhile. */
  const step = <T>(key: SessionKey, work: (name: string) => Promise<T>): Promise<T> => {
    const name = sessionKey(key);
    return mutex.run(name, () => work(name));
  };

  return {
    volatile: true,
    get: (key) => snapshot(sessionKey(key)),

    lockLogin: (key, observed, leaseMs) =>
      step(key, async (name) => {
        const now = await snapshot(name);
        if (!sameVersion(now.record, observed.record) || now.revocations !== observed.revocations)
          return { kind: 'changed', now };
        const pause = pauses.get(name);
        if (pause && pause.until > clock.now()) return { kind: 'paused', code: pause.code };
        pauses.delete(name);
        if ((locks.get(name)?.until ?? 0) > clock.now()) return { kind: 'held' };
        const lockId = randomBytes(16).toString('base64url');
        locks.set(name, { lockId, until: clock.now() + leaseMs });
        addPending(key, login(lockId), undefined, clock.now() + leaseMs);
        return { kind: 'locked', lockId };
      }),

    commit: (key, lockId, observed, record, due) =>
      step(key, async (name) => {
        if (!holds(name, lockId)) return false;
        locks.delete(name);
        const now = await snapshot(name);
        if (!sameVersion(now.record, observed.record) || now.revocations !== observed.revocations) return false;
        await put(name, record);
        removePending(key, login(lockId));
        if (now.record) addPending(key, pendingLogoutName(now.record), now.record, due);
        return true;
      }),

    unlockLogin: (key, lockId, pause) =>
      step(key, async (name) => {
        removePending(key, login(lockId));
        if (!holds(name, lockId)) return;
        locks.delete(name);
        if (pause) pauses.set(name, { code: pause.code, until: clock.now() + pause.ms });
      }),

    replace: (key, current, record) =>
      step(key, async (name) => {
        if (!sameVersion(await records.get(name), current)) return false;
        await put(name, record);
        return true;
      }),

    revoke: (key, due, version) =>
      step(key, async (name) => {
        const record = await records.get(name);
        if (version && !sameVersion(record, version)) return undefined;
        const count = (revocations.get(name) ?? 0) + 1;
        revocations.set(name, count);
        if (!record) return undefined;
        await records.delete(name);
        keys.delete(name);
        addPending(key, pendingLogoutName(record), record, due);
        return record;
      }),

    async checkpoint(key, lockId, { record, due }) {
      if (!pendingLogouts.has(JSON.stringify([sessionKey(key), login(lockId)])))
        throw new Error('the login lock is not known any more');
      addPending(key, login(lockId), record, due);
    },
    addPendingLogout: async (key, { record, due }) => addPending(key, pendingLogoutName(record), record, due),
    removePendingLogout: async (key, name) => void removePending(key, name),
    remind: async (key, at) => void reminders.set(JSON.stringify([sessionKey(key), at]), { key, at }),
    async takeOverdue(now, until, visit) {
      const found = [...pendingLogouts.values()].filter(({ due }) => due <= now);
      for (const pending of found) pending.due = until;
      for (const [name, { key, at }] of reminders) {
        if (at > now) continue;
        await visit(key).then(
          () => reminders.delete(name),
          () => reminders.set(name, { key, at: until }),
        );
      }
      for (const [name, { until: end }] of pauses) if (end <= now) pauses.delete(name);
      for (const [name, { until: end }] of locks) if (end <= now) locks.delete(name);
      return found.map(({ key, name, record }) => ({ key, name, record, login: name.startsWith('login ') }));
    },

    drained,
    async *records() {
      for (const name of keys) {
        const record = await records.get(name);
        if (record) yield record;
        else keys.delete(name);
      }
    },
  };
}
