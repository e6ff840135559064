// Session records in Redis, read through keyv and changed by scripts. They outlive a replica: what a dead replica has
// left to do is done by another.
import { randomBytes } from 'node:crypto';
import { Keyv } from 'keyv';
import type { Clock } from '../../core/clock.ts';
import type { ClientRef } from '../../identity/client.ts';
import type { SessionKey, SessionRecord } from '../../session/record.ts';
import {
  type OverdueLogout,
  pendingLogoutName,
  type SessionSnapshot,
  type SessionStore,
  type SessionVersion,
} from '../../session/store.ts';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import { parseRow, ROW_TTL_MS, readStored, rowOf } from './row.ts';
import {
  ADD_PENDING_LOGOUT,
  CHECKPOINT,
  COMMIT,
  DUE,
  LOCK_LOGIN,
  OVERDUE,
  REMIND,
  REMINDED,
  REMOVE_PENDING_LOGOUT,
  REPLACE,
  REVOCATIONS,
  REVOKE,
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
  const { run, adapter } = connection;
  const records = new Keyv<unknown>({
    store: adapter,
    // Without this keyv turns a failing store into a miss, and a miss into an allowed call.
    throwOnErrors: true,
    useKeyPrefix: false,
    serialize: JSON.stringify,
    deserialize: JSON.parse,
  });
  // keyv would put a namespace before each name. The names used here are complete, so it must not.
  records.namespace = undefined as unknown as string;
  adapter.namespace = undefined;
  const value = (record: SessionRecord) => rowOf(record, Date.now() + ROW_TTL_MS);
  const name = (version: SessionVersion | undefined) => (version ? `${version.id}:${version.generation}` : '');
  const remind = async (key: SessionKey, at: number) =>
    void (await run(REMIND, [keys.due], [at, JSON.stringify([key.owner, key.backend, at])]));

  async function get(key: SessionKey): Promise<SessionSnapshot> {
    const [stored, revocations] = await Promise.all([
      connection.within(records.get(keys.session(key))),
      run(REVOCATIONS, [keys.revoked(key.owner)], [key.backend]),
    ]);
    const record = stored === undefined ? undefined : readStored(stored);
    if (stored !== undefined && !record) throw new Error('the stored session cannot be read');
    return { record, revocations: Number(revocations) };
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
      const record = text === null ? undefined : parseRow(text);
      if (text !== null && !record) throw new Error('the stored session cannot be read');
      return { kind: 'changed', now: { record, revocations: Number(revoked) } };
    },

    async checkpoint(key, lockId, { record, due }) {
      const args = [lockId, `${due} ${value(record)}`, ROW_TTL_MS];
      if ((await run(CHECKPOINT, [keys.loginLock(key), keys.pendingLogouts(key)], args)) !== 1)
        throw new Error('the login lock is not known any more');
    },

    async commit(key, lockId, observed, record, due) {
      if (observed.record) await remind(key, due);
      const before = observed.record ? pendingLogoutName(observed.record) : '';
      const stored = await run(
        COMMIT,
        [keys.session(key), keys.revoked(key.owner), keys.loginLock(key), keys.pendingLogouts(key)],
        [key.backend, name(observed.record), observed.revocations, lockId, value(record), ROW_TTL_MS, due, before],
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
      const args = [name(current), value(record), ROW_TTL_MS];
      return (await run(REPLACE, [keys.session(key), keys.revoked(key.owner)], args)) === 1;
    },

    async revoke(key, due, version) {
      await remind(key, due);
      const stored = (await run(
        REVOKE,
        [keys.session(key), keys.revoked(key.owner), keys.pendingLogouts(key)],
        [key.backend, version ? name(version) : '*', due, ROW_TTL_MS],
      )) as string | null;
      return stored === null ? undefined : parseRow(stored);
    },

    async addPendingLogout(key, { record, due }) {
      await remind(key, due);
      await run(
        ADD_PENDING_LOGOUT,
        [keys.pendingLogouts(key)],
        [pendingLogoutName(record), `${due} ${value(record)}`, ROW_TTL_MS],
      );
    },

    async removePendingLogout(key, logout) {
      await run(REMOVE_PENDING_LOGOUT, [keys.pendingLogouts(key)], [logout]);
    },

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
        const found = await Promise.allSettled(names.map((each) => connection.within(records.get(each))));
        for (const each of found) {
          if (each.status === 'rejected') unread += 1;
          const record = each.status === 'fulfilled' ? readStored(each.value) : undefined;
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
    for (let i = 0; i + 1 < rows.length; i += 2) {
      const [name, text] = [rows[i] as string, rows[i + 1] as string];
      const record = text === '' ? undefined : parseRow(text);
      // A row that is no record cannot be logged out by anybody, so it is removed.
      if (text !== '' && !record) await run(REMOVE_PENDING_LOGOUT, [keys.pendingLogouts(key)], [name]);
      else found.push({ key, name, record, login: name.startsWith('login ') });
    }
    return found;
  }
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
