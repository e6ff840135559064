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
const PAGE = 100;
const PAGES = 50;

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

    async overdue(now, until, visit) {
      const debts: Overdue[] = [];
      for (let page = 0; page < PAGES; page++) {
        const entries = (await run(DUE, [keys.due], [now, PAGE])) as string[];
        for (const entry of entries) {
          try {
            const key = reminded(entry);
            if (key) {
              debts.push(...(await overdueOf(key, now, until)));
              await visit(key);
            }
            // Last: whoever dies before this leaves the entry to another.
            await run(REMINDED, [keys.due], [entry]);
          } catch {
            // Put off, so that it does not stand in the way of others.
            await run(REMIND, [keys.due], [until, entry]);
          }
        }
        if (entries.length < PAGE) break;
      }
      return debts;
    },

    async *records() {
      let unread = 0;
      for await (const names of connection.scan(keys.allSessions)) {
        const found = await Promise.allSettled(names.map((each) => connection.within(records.get(each))));
        for (const each of found) {
          if (each.status === 'rejected') unread += 1;
          const record = each.status === 'fulfilled' ? readRecord(each.value) : undefined;
          if (record) yield record;
        }
      }
      if (unread > 0) throw new Error(`${unread} sessions could not be read`);
    },
  };

  async function overdueOf(key: SessionKey, now: number, until: number): Promise<Overdue[]> {
    const [next, ...found] = (await run(OVERDUE, [keys.debts(key)], [now, until])) as [number, ...string[]];
    if (next !== 0) await remind(key, next);
    const debts: Overdue[] = [];
    for (let i = 0; i + 1 < found.length; i += 2) {
      const [name, text] = [found[i] as string, found[i + 1] as string];
      const record = text === '' ? undefined : parseRecord(text);
      // What is no record can be logged out by nobody.
      if (text !== '' && !record) await run(PAID, [keys.debts(key)], [name]);
      else debts.push({ key, name, record });
    }
    return debts;
  }
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
