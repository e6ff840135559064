// Session records in Redis, read through keyv and changed by scripts. They outlive a replica: what a
// dead one has left to do is done by another.
import { randomBytes } from 'node:crypto';
import { Keyv } from 'keyv';
import type { Clock } from '../../core/clock.ts';
import type { SessionLimits } from '../../session/limits.ts';
import { readRecord, type SessionKey, type SessionRecord } from '../../session/record.ts';
import {
  debtName,
  type Overdue,
  type SessionSnapshot,
  type SessionStore,
  type SessionVersion,
} from '../../session/store.ts';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import { parseRecord } from './row.ts';
import {
  CHECKPOINT,
  CLAIM,
  COMMIT,
  DUE,
  GIVE_UP,
  LEAVE_PLACE,
  LEAVE_PLACES,
  OVERDUE,
  OWE,
  PAID,
  REMIND,
  REMINDED,
  REPLACE,
  REVOCATIONS,
  REVOKE,
  TAKE_PLACE,
} from './sessions.lua.ts';

export interface RedisSessionsOptions {
  connection: RedisConnection;
  keys: Keys;
  clock: Clock;
  drained: SessionStore['drained'];
}

/** Longer than any absolute limit a policy would set; the policy ends sessions, this only bounds the store. */
const TTL_MS = 7 * 24 * 3_600_000;
const OVERDUE_AT_ONCE = 100;

export function createRedisSessions({ connection, keys, clock, drained }: RedisSessionsOptions): SessionStore {
  const { run, adapter } = connection;
  const records = new Keyv<SessionRecord>({
    store: adapter,
    // Without this keyv turns a failing store into a miss, and a miss into an allowed call.
    throwOnErrors: true,
    useKeyPrefix: false,
    serialize: JSON.stringify,
    deserialize: JSON.parse,
  });
  // keyv gives every store a namespace of its own; the names here are whole.
  records.namespace = undefined as unknown as string;
  adapter.namespace = undefined;
  const value = (record: SessionRecord) => JSON.stringify({ value: record, expires: Date.now() + TTL_MS });
  const name = (version: SessionVersion | undefined) => (version ? `${version.id}:${version.generation}` : '');
  const remind = async (key: SessionKey, at: number) =>
    void (await run(REMIND, [keys.due], [at, JSON.stringify([key.owner, key.backend, at])]));

  async function get(key: SessionKey): Promise<SessionSnapshot> {
    const [stored, revocations] = await Promise.all([
      connection.within(records.get(keys.session(key))),
      run(REVOCATIONS, [keys.revoked(key.owner)], [key.backend]),
    ]);
    const record = stored === undefined ? undefined : readRecord(stored);
    if (stored !== undefined && !record) throw new Error('the stored session cannot be read');
    return { record, revocations: Number(revocations) };
  }

  return {
    volatile: false,
    drained,
    get,
    remind,

    async claim(key, seen, leaseMs) {
      const permit = randomBytes(16).toString('base64url');
      const due = clock.now() + leaseMs;
      const [kind, text, revoked] = (await run(
        CLAIM,
        [keys.session(key), keys.revoked(key.owner), keys.claim(key), keys.debts(key)],
        [key.backend, name(seen.record), seen.revocations, permit, leaseMs, due, TTL_MS],
      )) as [string, string | null, string];
      if (kind === 'claimed') {
        await remind(key, due);
        return { kind, permit };
      }
      if (kind === 'paused') return { kind, code: text ?? '' };
      if (kind === 'busy') return { kind };
      const record = text === null ? undefined : parseRecord(text);
      if (text !== null && !record) throw new Error('the stored session cannot be read');
      return { kind: 'changed', now: { record, revocations: Number(revoked) } };
    },

    async checkpoint(key, permit, { record, due }) {
      const args = [permit, `${due} ${value(record)}`, TTL_MS];
      if ((await run(CHECKPOINT, [keys.claim(key), keys.debts(key)], args)) !== 1)
        throw new Error('the permit of the login is not known any more');
    },

    async commit(key, permit, seen, record, due) {
      if (seen.record) await remind(key, due);
      const before = seen.record ? debtName(seen.record) : '';
      const stored = await run(
        COMMIT,
        [keys.session(key), keys.revoked(key.owner), keys.claim(key), keys.debts(key)],
        [key.backend, name(seen.record), seen.revocations, permit, value(record), TTL_MS, due, before],
      );
      return stored === 1;
    },

    async giveUp(key, permit, pause) {
      await run(GIVE_UP, [keys.claim(key), keys.debts(key)], [permit, pause?.code ?? '', pause?.ms ?? 0]);
    },

    async replace(key, current, record) {
      const args = [name(current), value(record), TTL_MS];
      return (await run(REPLACE, [keys.session(key), keys.revoked(key.owner)], args)) === 1;
    },

    async revoke(key, due, version) {
      await remind(key, due);
      const stored = (await run(
        REVOKE,
        [keys.session(key), keys.revoked(key.owner), keys.debts(key)],
        [key.backend, version ? name(version) : '*', due, TTL_MS],
      )) as string | null;
      return stored === null ? undefined : parseRecord(stored);
    },

    async owe(key, { record, due }) {
      await remind(key, due);
      await run(OWE, [keys.debts(key)], [debtName(record), `${due} ${value(record)}`, TTL_MS]);
    },

    async paid(key, debt) {
      await run(PAID, [keys.debts(key)], [debt]);
    },

    async overdue(now, until) {
      const debts: Overdue[] = [];
      const visited: SessionKey[] = [];
      for (const entry of (await run(DUE, [keys.due], [now, OVERDUE_AT_ONCE])) as string[]) {
        const key = reminded(entry);
        if (key) {
          visited.push(key);
          const found = (await run(OVERDUE, [keys.debts(key)], [now, until])) as string[];
          for (let i = 0; i + 1 < found.length; i += 2) {
            const [debt, text] = [found[i] as string, found[i + 1] as string];
            const record = text === '' ? undefined : parseRecord(text);
            // What is no record can be logged out by nobody.
            if (text !== '' && !record) await run(PAID, [keys.debts(key)], [debt]);
            else debts.push({ key, name: debt, record });
          }
          if (found.length > 0) await remind(key, until);
        }
        // Last: whoever dies before this leaves the entry to another.
        await run(REMINDED, [keys.due], [entry]);
      }
      return { debts, visited };
    },

    async *records() {
      for await (const names of connection.scan(keys.allSessions)) {
        const found = await Promise.allSettled(names.map((each) => connection.within(records.get(each))));
        for (const each of found) {
          const record = each.status === 'fulfilled' ? readRecord(each.value) : undefined;
          if (record) yield record;
        }
      }
    },
  };
}

function reminded(entry: string): SessionKey | undefined {
  try {
    const [owner, backend] = JSON.parse(entry) as unknown[];
    return typeof owner === 'string' && typeof backend === 'string' ? { owner, backend } : undefined;
  } catch {
    return undefined;
  }
}

export function createRedisLimits({
  connection: { run },
  keys,
  clock,
  sessions,
}: Omit<RedisSessionsOptions, 'drained'> & { sessions: SessionStore }): SessionLimits {
  const place = ({ owner, backend }: SessionKey) => JSON.stringify([owner, backend]);
  return {
    async take(client, session, id, limit, leaseMs) {
      const attempt = async () => {
        const args = [place(session), limit, clock.now(), leaseMs, TTL_MS, id];
        return (await run(TAKE_PLACE, [keys.places(client)], args)) as [number, string[]];
      };
      const [taken, stale] = await attempt();
      if (taken === 1) return true;
      const lives = async (each: string) => {
        const [owner, backend] = JSON.parse(each) as [string, string];
        return (await sessions.get({ owner, backend })).record !== undefined;
      };
      const living = await Promise.all(stale.map(lives));
      const gone = stale.filter((_, i) => !living[i]);
      if (gone.length === 0) return false;
      await run(LEAVE_PLACES, [keys.places(client)], gone);
      return (await attempt())[0] === 1;
    },
    async leave(client, session, id) {
      await run(LEAVE_PLACE, [keys.places(client)], [place(session), id]);
    },
  };
}
