// Session records in Redis, read through keyv and changed by scripts. They outlive a replica: what a
// dead one has left to do is done by another.
import { randomBytes } from 'node:crypto';
import { Keyv } from 'keyv';
import type { Clock } from '../../core/clock.ts';
import type { SessionLimits } from '../../session/limits.ts';
import type { SessionKey, SessionRecord } from '../../session/record.ts';
import type { SessionSnapshot, SessionStore, SessionVersion } from '../../session/store.ts';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import {
  CLAIM,
  COMMIT,
  DUE,
  GIVE_UP,
  LEAVE_PLACES,
  OVERDUE,
  OWE,
  PAID,
  REMIND,
  REMIND_AGAIN,
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
  const parse = (stored: string) => (JSON.parse(stored) as { value: SessionRecord }).value;
  const name = (version: SessionVersion | undefined) => (version ? `${version.id}:${version.generation}` : '');
  const member = ({ owner, backend }: SessionKey) => JSON.stringify([owner, backend]);

  /** The index of debts is in a slot of its own, so it is written first: an entry too many does no harm. */
  const remind = (key: SessionKey, due: number) => run(REMIND, [keys.due], [due, member(key)]);

  return {
    volatile: false,
    drained,

    async get(key) {
      const [record, revocations] = await Promise.all([
        connection.within(records.get(keys.session(key))),
        run(REVOCATIONS, [keys.revoked(key.owner)], [key.backend]),
      ]);
      return { record, revocations: Number(revocations) };
    },

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
      const now: SessionSnapshot = { record: text ? parse(text) : undefined, revocations: Number(revoked) };
      return { kind: 'changed', now };
    },

    async commit(key, permit, seen, record, due) {
      if (seen.record) await remind(key, due);
      const stored = await run(
        COMMIT,
        [keys.session(key), keys.revoked(key.owner), keys.claim(key), keys.debts(key)],
        [key.backend, name(seen.record), seen.revocations, permit, value(record), TTL_MS, due, name(record)],
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
      return stored === null ? undefined : parse(stored);
    },

    async owe(key, { record, due }) {
      await remind(key, due);
      await run(OWE, [keys.debts(key)], [name(record), `${due} ${value(record)}`, TTL_MS]);
    },

    async paid(key, version) {
      await run(PAID, [keys.debts(key)], [name(version)]);
    },

    async overdue(now, until) {
      const members = (await run(DUE, [keys.due], [now, OVERDUE_AT_ONCE])) as string[];
      const found = await Promise.all(
        members.map(async (text) => {
          const [owner, backend] = JSON.parse(text) as [string, string];
          const [first, stored] = (await run(OVERDUE, [keys.debts({ owner, backend })], [now, until])) as [
            number,
            string[],
          ];
          await run(REMIND_AGAIN, [keys.due], [first, text, now]);
          return stored.map((each) => ({ key: { owner, backend }, record: each === '' ? undefined : parse(each) }));
        }),
      );
      return found.flat();
    },

    async *records() {
      for await (const names of connection.scan(keys.allSessions)) {
        for (const record of await Promise.all(names.map((each) => records.get(each)))) if (record) yield record;
      }
    },
  };
}

export function createRedisLimits({
  connection: { run },
  keys,
  clock,
  sessions,
}: Omit<RedisSessionsOptions, 'drained'> & { sessions: SessionStore }): SessionLimits {
  const place = ({ owner, backend }: SessionKey) => JSON.stringify([owner, backend]);
  return {
    async take(client, session, limit, leaseMs) {
      const attempt = async () =>
        (await run(TAKE_PLACE, [keys.places(client)], [place(session), limit, clock.now(), leaseMs, TTL_MS])) as [
          number,
          string[],
        ];
      const [taken, stale] = await attempt();
      if (taken === 1) return true;
      const gone: string[] = [];
      for (const each of stale) {
        const [owner, backend] = JSON.parse(each) as [string, string];
        if (!(await sessions.get({ owner, backend })).record) gone.push(each);
      }
      if (gone.length === 0) return false;
      await run(LEAVE_PLACES, [keys.places(client)], gone);
      return (await attempt())[0] === 1;
    },
    async leave(client, session) {
      await run(LEAVE_PLACES, [keys.places(client)], [place(session)]);
    },
  };
}
