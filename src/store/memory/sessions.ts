// Session records in this process. They end with it, so shutdown logs them out; a process that is
// killed leaves its backend sessions to the backend's own timeouts.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { createKeyedMutex } from '../../core/mutex.ts';
import { type SessionKey, type SessionRecord, sessionKey } from '../../session/record.ts';
import { debtName, type SessionStore, sameVersion } from '../../session/store.ts';
import { createMemoryKeyv } from './keyv.ts';

export interface MemorySessionsOptions {
  clock: Clock;
  /** Most sessions at once. */
  sessions: number;
  drained: SessionStore['drained'];
}

/** Longer than any absolute limit a policy would set; the policy ends sessions, this only bounds memory. */
const TTL_MS = 7 * 24 * 3_600_000;
const REVOCATIONS = 100_000;

export function createMemorySessions({ clock, sessions, drained }: MemorySessionsOptions): SessionStore {
  const records = createMemoryKeyv<SessionRecord>('sessions', sessions);
  const keys = new Set<string>();
  const revocations = new Map<string, number>();
  const permits = new Map<string, { permit: string; until: number }>();
  const pauses = new Map<string, { code: string; until: number }>();
  /** By session and name. A login that has begun is one without a record. */
  const debts = new Map<string, { key: SessionKey; name: string; record: SessionRecord | undefined; due: number }>();
  const reminders = new Map<string, { key: SessionKey; at: number }>();
  const mutex = createKeyedMutex();
  const owe = (key: SessionKey, name: string, record: SessionRecord | undefined, due: number) =>
    void debts.set(JSON.stringify([sessionKey(key), name]), { key, name, record, due });
  const pay = (key: SessionKey, name: string) => debts.delete(JSON.stringify([sessionKey(key), name]));
  const login = (permit: string) => `login ${permit}`;

  async function snapshot(name: string) {
    return { record: await records.get(name), revocations: revocations.get(name) ?? 0 };
  }
  async function put(name: string, record: SessionRecord): Promise<void> {
    await records.set(name, record, TTL_MS);
    keys.add(name);
  }
  const holds = (name: string, permit: string): boolean => {
    const held = permits.get(name);
    return held?.permit === permit && held.until > clock.now();
  };
  /** Runs in one step for the session. */
  const step = <T>(key: SessionKey, work: (name: string) => Promise<T>): Promise<T> => {
    const name = sessionKey(key);
    return mutex.run(name, () => work(name));
  };

  return {
    volatile: true,
    get: (key) => snapshot(sessionKey(key)),

    claim: (key, seen, leaseMs) =>
      step(key, async (name) => {
        const now = await snapshot(name);
        if (!sameVersion(now.record, seen.record) || now.revocations !== seen.revocations)
          return { kind: 'changed', now };
        const pause = pauses.get(name);
        if (pause && pause.until > clock.now()) return { kind: 'paused', code: pause.code };
        pauses.delete(name);
        if ((permits.get(name)?.until ?? 0) > clock.now()) return { kind: 'busy' };
        const permit = randomBytes(16).toString('base64url');
        permits.set(name, { permit, until: clock.now() + leaseMs });
        owe(key, login(permit), undefined, clock.now() + leaseMs);
        return { kind: 'claimed', permit };
      }),

    commit: (key, permit, seen, record, due) =>
      step(key, async (name) => {
        if (!holds(name, permit)) return false;
        permits.delete(name);
        const now = await snapshot(name);
        if (!sameVersion(now.record, seen.record) || now.revocations !== seen.revocations) return false;
        await put(name, record);
        pay(key, login(permit));
        if (now.record) owe(key, debtName(now.record), now.record, due);
        return true;
      }),

    giveUp: (key, permit, pause) =>
      step(key, async (name) => {
        pay(key, login(permit));
        if (!holds(name, permit)) return;
        permits.delete(name);
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
        if (revocations.size >= REVOCATIONS) revocations.delete(revocations.keys().next().value as string);
        revocations.set(name, count);
        if (!record) return undefined;
        await records.delete(name);
        keys.delete(name);
        owe(key, debtName(record), record, due);
        return record;
      }),

    async checkpoint(key, permit, { record, due }) {
      if (!debts.has(JSON.stringify([sessionKey(key), login(permit)])))
        throw new Error('the permit of the login is not known any more');
      owe(key, login(permit), record, due);
    },
    owe: async (key, { record, due }) => owe(key, debtName(record), record, due),
    paid: async (key, name) => void pay(key, name),
    remind: async (key, at) => void reminders.set(JSON.stringify([sessionKey(key), at]), { key, at }),
    async overdue(now, until, visit) {
      const found = [...debts.values()].filter(({ due }) => due <= now);
      for (const debt of found) {
        if (debt.record) debt.due = until;
        else pay(debt.key, debt.name);
      }
      for (const [name, { key, at }] of reminders) {
        if (at > now) continue;
        await visit(key).then(
          () => reminders.delete(name),
          () => reminders.set(name, { key, at: until }),
        );
      }
      for (const [name, { until: end }] of pauses) if (end <= now) pauses.delete(name);
      for (const [name, { until: end }] of permits) if (end <= now) permits.delete(name);
      return found.map(({ key, name, record }) => ({ key, name, record }));
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
