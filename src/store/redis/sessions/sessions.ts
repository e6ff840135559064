// Session records in Redis. They outlive a replica: what a dead replica has left to do is done by another.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../core/clock.ts';
import type { ClientRef } from '../../../identity/client.ts';
import { pendingLogoutName } from '../../../session/pending.ts';
import type { SessionKey } from '../../../session/record.ts';
import type { OverdueLogout, SessionSnapshot, SessionStore, SessionVersion } from '../../../session/store.ts';
import type { RedisConnection } from '../connection.ts';
import type { Keys } from '../keys.ts';
import { parseRow, ROW_TTL_MS, rowOf } from './row.ts';
import {
  ADD_PENDING_LOGOUT,
  CHECKPOINT,
  COMMIT,
  DUE,
  GET_ROW,
  GET_SESSION,
  GIVE_TURN,
  LOCK_LOGIN,
  OVERDUE,
  PENDING,
  REMIND,
  REMINDED,
  REMOVE_PENDING_LOGOUT,
  REPLACE,
  REVOKE,
  SUPERSEDE,
  TAKE_TURN,
  UNLOCK_LOGIN,
} from './sessions.lua.ts';

/** What the session store works with. `drained` is that of the facts, which know the calls under way. */
export interface RedisSessionsOptions {
  connection: RedisConnection;
  keys: Keys;
  clock: Clock;
  drained: SessionStore['drained'];
}

/** Reminders that are read at once. */
const PAGE = 100;
/** Most pages of reminders that one sweep reads. */
const PAGES = 50;

/**
 * The session store that all replicas share. Each change is one script, so that no other replica comes in between.
 */
export function createRedisSessions({ connection, keys, clock, drained }: RedisSessionsOptions): SessionStore {
  const { run } = connection;
  const superseded = (key: SessionKey) => [keys.superseded(key), keys.supersededOrder(key)];
  const name = (version: SessionVersion | undefined) => (version ? `${version.id}:${version.generation}` : '');
  const remind = async (key: SessionKey, at: number) =>
    void (await run(REMIND, [keys.due], [at, JSON.stringify([key.owner, key.backend, at])]));

  async function get(key: SessionKey): Promise<SessionSnapshot> {
    const at = [keys.session(key), keys.revoked(key.owner)];
    const [text, revocations] = (await run(GET_SESSION, at, [key.backend])) as [string | null, string];
    return { ...readRow(text), revocations: Number(revocations) };
  }

  return {
    volatile: false,
    drained,
    get,
    remind,

    async lockLogin(key, observed, leaseMs) {
      const lockId = randomBytes(16).toString('base64url');
      const due = clock.now() + leaseMs;
      const [kind, text, revoked] = (await run(
        LOCK_LOGIN,
        [keys.session(key), keys.revoked(key.owner), keys.loginLock(key), keys.pendingLogouts(key)],
        [key.backend, name(observed.record), observed.revocations, lockId, leaseMs, due, ROW_TTL_MS],
      )) as [string, string | null, string];
      if (kind === 'locked') {
        await remind(key, due);
        return { kind, lockId };
      }
      if (kind === 'paused') return { kind, code: text ?? '' };
      if (kind === 'held') return { kind };
      return { kind: 'changed', now: { ...readRow(text), revocations: Number(revoked) } };
    },

    async checkpoint(key, lockId, { record, due }) {
      const args = [lockId, `${due} ${rowOf(record)}`, ROW_TTL_MS];
      if ((await run(CHECKPOINT, [keys.loginLock(key), keys.pendingLogouts(key)], args)) !== 1)
        throw new Error('the login lock is not known any more');
    },

    async commit(key, lockId, observed, record, due) {
      if (observed.record) await remind(key, due);
      const stored = await run(
        COMMIT,
        [keys.session(key), keys.revoked(key.owner), keys.loginLock(key), keys.pendingLogouts(key), ...superseded(key)],
        [key.backend, name(observed.record), observed.revocations, lockId, rowOf(record), ROW_TTL_MS, due],
      );
      return stored === 1;
    },

    async unlockLogin(key, lockId, pause) {
      await run(
        UNLOCK_LOGIN,
        [keys.loginLock(key), keys.pendingLogouts(key)],
        [lockId, pause?.code ?? '', pause?.ms ?? 0],
      );
    },

    async replace(key, current, record) {
      const at = [keys.session(key), keys.revoked(key.owner), ...superseded(key)];
      return (await run(REPLACE, at, [name(current), rowOf(record), ROW_TTL_MS])) === 1;
    },

    async supersede(key, record) {
      const at = [keys.session(key), keys.revoked(key.owner), ...superseded(key)];
      return (await run(SUPERSEDE, at, [rowOf(record), ROW_TTL_MS])) === 1;
    },

    async revoke(key, due, version) {
      await remind(key, due);
      const stored = (await run(
        REVOKE,
        [keys.session(key), keys.revoked(key.owner), keys.pendingLogouts(key), ...superseded(key)],
        version && 'row' in version
          ? [key.backend, 'row', due, ROW_TTL_MS, version.row]
          : [key.backend, version ? name(version) : '*', due, ROW_TTL_MS],
      )) as string | null;
      return stored === null ? undefined : parseRow(stored);
    },

    async addPendingLogout(key, { record, due }) {
      await remind(key, due);
      await run(
        ADD_PENDING_LOGOUT,
        [keys.pendingLogouts(key)],
        [pendingLogoutName(record), `${due} ${rowOf(record)}`, ROW_TTL_MS],
      );
    },

    async removePendingLogout(key, logout) {
      await run(REMOVE_PENDING_LOGOUT, [keys.pendingLogouts(key)], [logout]);
    },

    async pendingLogouts(key) {
      const flat = (await run(PENDING, [keys.pendingLogouts(key)], [])) as string[];
      return pairs(flat).map(([name, text]) => ({ key, name, record: parseRow(text.slice(text.indexOf(' ') + 1)) }));
    },

    takeTurn: async (key, who, leaseMs) => (await run(TAKE_TURN, [keys.turn(key)], [who, Math.ceil(leaseMs)])) === 1,
    giveTurn: async (key, who) => void (await run(GIVE_TURN, [keys.turn(key)], [who])),

    async takeOverdue(now, until, visit) {
      const found: OverdueLogout[] = [];
      for (let page = 0; page < PAGES; page++) {
        const entries = (await run(DUE, [keys.due], [now, PAGE])) as string[];
        for (const entry of entries) {
          try {
            const key = reminded(entry);
            if (key) {
              found.push(...(await overdueOf(key, now, until)));
              await visit(key);
            }
            // The reminder is removed last: a replica that dies before this leaves it to another.
            await run(REMINDED, [keys.due], [entry]);
          } catch {
            // A session that fails is put off, so that it does not stand in the way of others.
            await run(REMIND, [keys.due], [until, entry]);
          }
        }
        if (entries.length < PAGE) break;
      }
      return found;
    },

    async *records() {
      let unread = 0;
      for await (const names of connection.scan(keys.allSessions)) {
        const found = await Promise.allSettled(names.map((each) => run(GET_ROW, [each], [])));
        for (const each of found) {
          if (each.status === 'rejected') unread += 1;
          const text = each.status === 'fulfilled' ? (each.value as string | null) : null;
          const record = text === null ? undefined : parseRow(text);
          if (record) yield record;
        }
      }
      if (unread > 0) throw new Error(`${unread} sessions could not be read`);
    },
  };

  async function overdueOf(key: SessionKey, now: number, until: number): Promise<OverdueLogout[]> {
    const [next, ...rows] = (await run(OVERDUE, [keys.pendingLogouts(key)], [now, until])) as [number, ...string[]];
    if (next !== 0) await remind(key, next);
    const found: OverdueLogout[] = [];
    for (const [name, text] of pairs(rows)) {
      found.push({ key, name, record: text === '' ? undefined : parseRow(text) });
    }
    return found;
  }
}

const pairs = (flat: readonly string[]): [string, string][] =>
  Array.from({ length: flat.length >> 1 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1] as string]);

/** The record in a row as it was read. A row that is there and makes no sense is told apart from none. */
function readRow(text: string | null): Omit<SessionSnapshot, 'revocations'> {
  const record = text === null ? undefined : parseRow(text);
  return text !== null && !record ? { record, damaged: text } : { record };
}

/** The session that a reminder is about, or undefined when somebody has written something else. */
function reminded(entry: string): SessionKey | undefined {
  try {
    const [owner, backend] = JSON.parse(entry) as unknown[];
    return typeof owner === 'string' && typeof backend === 'string'
      ? { owner: owner as ClientRef, backend }
      : undefined;
  } catch {
    return undefined;
  }
}
