// Session records in this process. They end with it, so shutdown logs them out; a process that is
// killed leaves its backend sessions to the backend's own timeouts.

import { randomBytes } from 'node:crypto';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import { createKeyedMutex } from '../../core/mutex.ts';
import { loginName, MOST_SUPERSEDED, olderName, pendingLogoutName, sameLogin } from '../../session/pending.ts';
import { type SessionKey, type SessionRecord, sessionKey } from '../../session/record.ts';
import { type SessionSnapshot, type SessionStore, sameVersion } from '../../session/store.ts';
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

/** The session store, and its rows within one turn of the event loop. */
export interface MemorySessions extends SessionStore {
  peek(key: SessionKey): SessionSnapshot;
}

/** The session store of a single process. A new session is refused when there are as many as `sessions`. */
export function createMemorySessions({ clock, sessions, drained }: MemorySessionsOptions): MemorySessions {
  const { keyv: records, peek } = createMemoryKeyv<SessionRecord>('sessions', sessions);
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
  /** Values of the login in use that are not the one in use, by session; and how many there were before these. */
  const superseded = new Map<string, { rows: Map<string, SessionRecord>; older: number }>();
  const turns = new Map<string, { who: string; until: number }>();

  const snapshot = (name: string): SessionSnapshot => ({
    record: peek(name),
    revocations: revocations.get(name) ?? 0,
  });
  async function put(name: string, record: SessionRecord): Promise<void> {
    await records.set(name, record, TTL_MS);
    keys.add(name);
  }
  function supersede(name: string, record: SessionRecord): void {
    const { rows, older } = superseded.get(name) ?? { rows: new Map<string, SessionRecord>(), older: 0 };
    rows.set(pendingLogoutName(record), record);
    const [oldest] = rows.keys();
    const full = rows.size > MOST_SUPERSEDED && oldest !== undefined && rows.delete(oldest);
    superseded.set(name, { rows, older: older + (full ? 1 : 0) });
  }
  /** The login of this record has ended: its value in use and those that were superseded become pending logouts. */
  function pend(key: SessionKey, name: string, record: SessionRecord, due: number): void {
    const { rows, older } = superseded.get(name) ?? { rows: new Map<string, SessionRecord>(), older: 0 };
    superseded.delete(name);
    for (const each of [...rows.values(), record]) addPending(key, pendingLogoutName(each), each, due);
    if (older > 0) addPending(key, olderName(older, record), record, due);
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
    peek: (key) => snapshot(sessionKey(key)),
    get: async (key) => snapshot(sessionKey(key)),

    lockLogin: (key, observed, leaseMs) =>
      step(key, async (name) => {
        const now = snapshot(name);
        if (!sameVersion(now.record, observed.record) || now.revocations !== observed.revocations)
          return { kind: 'changed', now };
        const pause = pauses.get(name);
        if (pause && pause.until > clock.now()) return { kind: 'paused', code: pause.code };
        pauses.delete(name);
        if ((locks.get(name)?.until ?? 0) > clock.now()) return { kind: 'held' };
        const lockId = randomBytes(16).toString('base64url');
        locks.set(name, { lockId, until: clock.now() + leaseMs });
        addPending(key, loginName(lockId), undefined, clock.now() + leaseMs);
        return { kind: 'locked', lockId };
      }),

    commit: (key, lockId, observed, record, due) =>
      step(key, async (name) => {
        if (!holds(name, lockId)) return false;
        locks.delete(name);
        const now = snapshot(name);
        if (!sameVersion(now.record, observed.record) || now.revocations !== observed.revocations) return false;
        await put(name, record);
        removePending(key, loginName(lockId));
        if (now.record) pend(key, name, now.record, due);
        return true;
      }),

    unlockLogin: (key, lockId, pause) =>
      step(key, async (name) => {
        removePending(key, loginName(lockId));
        if (!holds(name, lockId)) return;
        locks.delete(name);
        if (pause) pauses.set(name, { code: pause.code, until: clock.now() + pause.ms });
      }),

    replace: (key, current, record) =>
      step(key, async (name) => {
        const before = peek(name);
        if (!before || !sameVersion(before, current)) return false;
        await put(name, record);
        if (before.tokenFingerprint === record.tokenFingerprint) return true;
        superseded.get(name)?.rows.delete(record.tokenFingerprint);
        supersede(name, before);
        return true;
      }),

    supersede: (key, record) =>
      step(key, async (name) => {
        const present = peek(name);
        if (!present || !sameLogin(present, record)) return false;
        const known = superseded.get(name)?.rows.has(record.tokenFingerprint) ?? false;
        if (present.tokenFingerprint !== record.tokenFingerprint && !known) supersede(name, record);
        return true;
      }),

    revoke: (key, due, version) =>
      step(key, async (name) => {
        const record = peek(name);
        // A row in memory is never damaged.
        if (version && ('row' in version || !sameVersion(record, version))) return undefined;
        const count = (revocations.get(name) ?? 0) + 1;
        revocations.set(name, count);
        if (!record) return undefined;
        await records.delete(name);
        keys.delete(name);
        pend(key, name, record, due);
        return record;
      }),

    async checkpoint(key, lockId, { record, due }) {
      if (!pendingLogouts.has(JSON.stringify([sessionKey(key), loginName(lockId)])))
        throw new Error('the login lock is not known any more');
      addPending(key, loginName(lockId), record, due);
    },
    addPendingLogout: async (key, { record, due }) => addPending(key, pendingLogoutName(record), record, due),
    pendingLogouts: async (key) =>
      [...pendingLogouts.values()].filter((each) => sessionKey(each.key) === sessionKey(key)),
    takeTurn: (key, who, leaseMs) =>
      step(key, async (name) => {
        const turn = turns.get(name);
        if (turn && turn.who !== who && turn.until > clock.now()) return false;
        turns.set(name, { who, until: clock.now() + leaseMs });
        return true;
      }),
    giveTurn: async (key, who) => void (turns.get(sessionKey(key))?.who === who && turns.delete(sessionKey(key))),
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
      return found.map(({ key, name, record }) => ({ key, name, record }));
    },

    drained,
    async *records() {
      for (const name of keys) {
        const record = peek(name);
        if (record) yield record;
        else keys.delete(name);
      }
    },
  };
}
