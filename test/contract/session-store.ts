// The contract of the session store port. Every adapter runs this one suite.

import { describe, expect, it } from 'vitest';
import { revokedSince } from '../../src/session/control.ts';
import type { SessionRecord } from '../../src/session/record.ts';
import type { SessionSnapshot } from '../../src/session/store.ts';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { until } from '../support/harness.ts';
import { clientId, ref } from '../support/refs.ts';

export const key = { backend: 'inventory', owner: ref('owner') };

export function sessionRecord(generation: number, changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: 'id',
    ...key,
    generation,
    serial: generation,
    login: generation,
    createdAt: 0,
    issuedAt: 0,
    sinceRevocation: 0,
    epoch: 'e',
    bound: {
      client_id: clientId('a'),
      subject: 'a',
      key: null,
      ipv4: { ip: '10.0.0.1', network: '10.0.0.0/24' },
      ipv6: null,
    },
    account: '',
    issuer: 'https://idp.example',
    fingerprint: 'f',
    tokenFingerprint: `token-${generation}`,
    sealed: `sealed-${generation}`,
    ...changes,
  };
}

const NOTHING: SessionSnapshot = { record: undefined, revocations: 0 };
const LEASE = 60_000;
/** A client whose sessions are counted. */
export const holder = (id: string, issuer = 'https://idp.example') => ({ issuer, bound: { client_id: clientId(id) } });

export function sessionStoreContract(name: string, create: (clock: TestClock) => Promise<Store>): void {
  const start = async () => {
    const clock = createTestClock();
    const store = await create(clock);
    const { sessions } = store;
    const lock = async (seen: SessionSnapshot, leaseMs = LEASE, at = key) => {
      const locked = await sessions.lockLogin(at, seen, leaseMs);
      if (locked.kind !== 'locked') throw new Error(locked.kind);
      return locked.lockId;
    };
    const put = async (record: SessionRecord) => {
      const at = { backend: record.backend, owner: record.owner };
      const seen = await sessions.get(at);
      return sessions.commit(at, await lock(seen, LEASE, at), seen, record, clock.now() + 1000);
    };
    return { clock, store, sessions, lock, put };
  };

  describe(`session store: ${name}`, () => {
    it('a session that was never stored has no record', async () => {
      const { sessions } = await start();
      expect(await sessions.get(key)).toEqual(NOTHING);
    });

    it('R-23: of 50 concurrent logins one gets the login lock, and the others learn that it is held', async () => {
      const { sessions } = await start();
      const locks = await Promise.all(Array.from({ length: 50 }, () => sessions.lockLogin(key, NOTHING, LEASE)));
      expect(locks.filter(({ kind }) => kind === 'locked')).toHaveLength(1);
      expect(locks.filter(({ kind }) => kind === 'held')).toHaveLength(49);
    });

    it('R-24: a session is stored only with the login lock, only once, and only if it is still as observed', async () => {
      const { sessions, lock } = await start();
      const lockId = await lock(NOTHING);
      expect(await sessions.commit(key, 'another', NOTHING, sessionRecord(1), 0)).toBe(false);
      expect(await sessions.commit(key, lockId, NOTHING, sessionRecord(1), 0)).toBe(true);
      expect(await sessions.commit(key, lockId, NOTHING, sessionRecord(1, { id: 'again' }), 0)).toBe(false);
      expect(await sessions.get(key)).toEqual({ record: sessionRecord(1), revocations: 0 });
      expect(await sessions.lockLogin(key, NOTHING, LEASE)).toEqual({
        kind: 'changed',
        now: { record: sessionRecord(1), revocations: 0 },
      });
      const seen = await sessions.get(key);
      expect(await sessions.commit(key, await lock(seen), seen, sessionRecord(2), 0)).toBe(true);
      expect((await sessions.get(key)).record?.generation).toBe(2);
    });

    it('R-24, attack 12: a writer whose lease ran out overwrites nothing and does not release the lock of another', async () => {
      const { clock, sessions, lock } = await start();
      const paused = await lock(NOTHING, 30);
      clock.advance(1);
      await until(async () => (await sessions.lockLogin(key, NOTHING, LEASE)).kind === 'locked', 'the lease to end');
      expect(await sessions.commit(key, paused, NOTHING, sessionRecord(1, { id: 'paused' }), 0)).toBe(false);
      await sessions.unlockLogin(key, paused, undefined);
      expect(await sessions.lockLogin(key, NOTHING, LEASE)).toMatchObject({ kind: 'held' });
      expect(await sessions.get(key)).toEqual(NOTHING);
    });

    it('R-23: for a while after a failed login, other logins learn that it failed', async () => {
      const { sessions, lock } = await start();
      await sessions.unlockLogin(key, await lock(NOTHING), { code: 'session.login_failed', ms: LEASE });
      expect(await sessions.lockLogin(key, NOTHING, LEASE)).toEqual({ kind: 'paused', code: 'session.login_failed' });
      const other = { ...key, owner: ref('other') };
      await sessions.unlockLogin(other, await lock(NOTHING, LEASE, other), undefined);
      expect(await sessions.lockLogin(other, NOTHING, LEASE)).toMatchObject({ kind: 'locked' });
    });

    it('R-26: a revocation removes the record once and is counted; a login that had begun does not restore the record', async () => {
      const { sessions, lock, put } = await start();
      await put(sessionRecord(1));
      const seen = await sessions.get(key);
      const lockId = await lock(seen);
      expect((await sessions.revoke(key, 0))?.generation).toBe(1);
      expect(await sessions.revoke(key, 0)).toBeUndefined();
      expect(await sessions.commit(key, lockId, seen, sessionRecord(2), 0)).toBe(false);
      expect(await sessions.get(key)).toEqual({ record: undefined, revocations: 2 });
      // A login that had begun when there was no session yet cannot store one either.
      const first = await sessions.get(key);
      const late = await lock(first);
      await sessions.revoke(key, 0);
      expect(await sessions.commit(key, late, first, sessionRecord(1), 0)).toBe(false);
      expect(await sessions.lockLogin(key, first, LEASE)).toMatchObject({ kind: 'changed' });
    });

    it('R-26: a revocation of one version does not remove its successor', async () => {
      const { sessions, put } = await start();
      await put(sessionRecord(1));
      await put(sessionRecord(2));
      expect(await sessions.revoke(key, 0, { id: 'id', generation: 1 })).toBeUndefined();
      expect(await sessions.get(key)).toMatchObject({ record: { generation: 2 }, revocations: 0 });
      expect(await sessions.revoke(key, 0, { id: 'id', generation: 2 })).toMatchObject({ generation: 2 });
    });

    it('R-54: a replacement changes exactly one version, never another session with the same generation', async () => {
      const { sessions, put } = await start();
      await put(sessionRecord(1, { id: 'second' }));
      expect(await sessions.replace(key, { id: 'first', generation: 1 }, sessionRecord(2, { id: 'first' }))).toBe(
        false,
      );
      expect(await sessions.replace(key, { id: 'second', generation: 1 }, sessionRecord(2, { id: 'second' }))).toBe(
        true,
      );
      expect((await sessions.get(key)).record).toMatchObject({ id: 'second', generation: 2 });
      const won = await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          sessions.replace(key, { id: 'second', generation: 2 }, sessionRecord(3, { id: 'second', sealed: `s-${i}` })),
        ),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
    });

    it('R-25, R-27: a replaced or revoked session is a pending logout until it is done; a living replica takes it over', async () => {
      const { clock, sessions, put } = await start();
      const overdue = async (at: number, until: number) =>
        (await sessions.takeOverdue(at, until, async () => {})).map(({ name }) => name).sort();
      const now = clock.now();
      await put(sessionRecord(1));
      expect(await overdue(now + 10_000, now)).toEqual([]);
      await put(sessionRecord(2));
      await sessions.revoke(key, now + 2000);
      await sessions.addPendingLogout(key, { record: sessionRecord(7), due: now + 3000 });
      // Another backend token with the same generation is a separate pending logout.
      await sessions.addPendingLogout(key, {
        record: sessionRecord(7, { tokenFingerprint: 'another' }),
        due: now + 3000,
      });
      expect(await overdue(now + 999, now)).toEqual([]);
      expect(await overdue(now + 1000, now + 60_000)).toEqual(['token-1']);
      expect(await overdue(now + 5000, now + 60_000)).toEqual(['another', 'token-2', 'token-7']);
      expect(await overdue(now + 5000, now + 60_000)).toEqual([]);
      await sessions.removePendingLogout(key, 'token-1');
      const logouts = await sessions.takeOverdue(now + 60_000, now + 90_000, async () => {});
      expect(logouts.find(({ name }) => name === 'token-7')).toEqual({
        key,
        name: 'token-7',
        record: sessionRecord(7),
      });
      for (const { name } of logouts) await sessions.removePendingLogout(key, name);
      expect(await overdue(now + 900_000, now)).toEqual([]);
    });

    it('R-27: a login has a pending logout until it ends; a login that never ends leaves it until it is removed', async () => {
      const { clock, sessions, lock } = await start();
      const later = clock.now() + LEASE;
      const overdue = () => sessions.takeOverdue(later, later + LEASE, async () => {});
      const other = { ...key, owner: ref('other') };
      const record = sessionRecord(1, { owner: ref('other') });
      const lockId = await lock(NOTHING, LEASE, other);
      await sessions.checkpoint(other, lockId, { record, due: later });
      await sessions.commit(other, lockId, NOTHING, record, later);
      await expect(sessions.checkpoint(other, lockId, { record, due: later })).rejects.toThrow('lock');
      expect(await overdue()).toEqual([]);
      const third = { ...key, owner: ref('third') };
      await sessions.unlockLogin(third, await lock(NOTHING, LEASE, third), undefined);
      expect(await overdue()).toEqual([]);
      // One login dies before it has a backend token, another one after it has got one.
      await lock(NOTHING);
      const [begun] = await overdue();
      expect(begun).toMatchObject({ key, record: undefined });
      await sessions.removePendingLogout(key, begun?.name ?? '');
      expect(await overdue()).toEqual([]);
      const dead = { ...key, owner: ref('dead') };
      await sessions.checkpoint(dead, await lock(NOTHING, LEASE, dead), {
        record: sessionRecord(5, dead),
        due: later,
      });
      const [left] = await overdue();
      expect(left).toMatchObject({ key: dead, record: sessionRecord(5, dead) });
      await sessions.removePendingLogout(dead, left?.name ?? '');
      expect(await overdue()).toEqual([]);
    });

    it('R-27: the backend token of a login whose lease ran out stays a pending logout after another login', async () => {
      const { clock, sessions, lock } = await start();
      const slow = await lock(NOTHING, 30);
      await sessions.checkpoint(key, slow, { record: sessionRecord(1), due: clock.now() + 30 });
      clock.advance(1);
      let lockId = '';
      await until(async () => {
        const again = await sessions.lockLogin(key, NOTHING, LEASE);
        if (again.kind === 'locked') lockId = again.lockId;
        return lockId;
      }, 'the lease to end');
      const winner = sessionRecord(1, { id: 'winner', tokenFingerprint: 'of the winner' });
      await sessions.checkpoint(key, lockId, { record: winner, due: clock.now() + LEASE });
      expect(await sessions.commit(key, lockId, NOTHING, winner, 0)).toBe(true);
      const logouts = await sessions.takeOverdue(clock.now() + LEASE, clock.now() + 2 * LEASE, async () => {});
      expect(logouts.map(({ record }) => record?.tokenFingerprint)).toEqual(['token-1']);
    });

    it('R-21: the reminder of a session comes when it is due, and again when it could not be handled', async () => {
      const { clock, sessions } = await start();
      const second = { ...key, owner: ref('second') };
      await sessions.remind(key, clock.now() + 5000);
      await sessions.remind(second, clock.now() + 9000);
      const visited = async (at: number, fail = false) => {
        const seen: string[] = [];
        await sessions.takeOverdue(at, at + 1000, async ({ owner }) => {
          seen.push(owner);
          if (fail) throw new Error('not now');
        });
        return seen;
      };
      expect(await visited(clock.now() + 4999)).toEqual([]);
      expect(await visited(clock.now() + 5000, true)).toEqual(['owner']);
      expect(await visited(clock.now() + 5999)).toEqual([]);
      expect(await visited(clock.now() + 6000)).toEqual(['owner']);
      expect(await visited(clock.now() + 8999)).toEqual([]);
      expect(await visited(clock.now() + 9000)).toEqual(['second']);
    });

    it('many pending logouts are found at once, and each is found again when it was not done', async () => {
      const { clock, sessions } = await start();
      const due = clock.now();
      for (let i = 0; i < 250; i++) {
        const at = { ...key, owner: ref(`o-${i}`) };
        await sessions.addPendingLogout(at, { record: sessionRecord(1, at), due });
      }
      const found = async (at: number) => (await sessions.takeOverdue(at, at + 1000, async () => {})).length;
      expect(await found(due)).toBe(250);
      expect(await found(due + 999)).toBe(0);
      expect(await found(due + 1000)).toBe(250);
      expect(await found(due + 2000)).toBe(250);
    });

    it('keeps sessions apart and lists them all', async () => {
      const { sessions, put } = await start();
      await put(sessionRecord(1, { owner: ref('a') }));
      await put(sessionRecord(1, { owner: ref('a'), backend: 'second' }));
      await put(sessionRecord(1, { owner: ref('b') }));
      await sessions.revoke({ owner: ref('a'), backend: 'inventory' }, 0);
      const found: string[] = [];
      for await (const record of sessions.records()) found.push(`${record.owner} ${record.backend}`);
      expect(found.sort()).toEqual(['a second', 'b inventory']);
    });
  });

  describe(`session limits: ${name}`, () => {
    it('R-30: of 20 concurrent requests for a place no more than the limit get one', async () => {
      const { store } = await start();
      const taken = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          store.limits.take(holder('client'), { owner: ref(`o${i}`), backend: 'b' }, 'id', 3, LEASE),
        ),
      );
      expect(taken.filter(Boolean)).toHaveLength(3);
      expect(await store.limits.take(holder('other'), { owner: ref('o0'), backend: 'b' }, 'id', 3, LEASE)).toBe(true);
    });

    it('R-30: a place is free again when it is left, or when its session is gone and its lease has run out', async () => {
      const { clock, store, put } = await start();
      const { limits } = store;
      await put(sessionRecord(1, { owner: ref('lives') }));
      expect(await limits.take(holder('c'), { owner: ref('lives'), backend: 'inventory' }, 'id', 2, LEASE)).toBe(true);
      expect(await limits.take(holder('c'), { owner: ref('never stored'), backend: 'inventory' }, 'id', 2, LEASE)).toBe(
        true,
      );
      expect(await limits.take(holder('c'), key, 'id', 2, LEASE)).toBe(false);
      // A session that has a place keeps it, even under a lower limit.
      expect(await limits.take(holder('c'), { owner: ref('lives'), backend: 'inventory' }, 'id', 1, LEASE)).toBe(true);
      clock.advance(LEASE / 1000);
      expect(await limits.take(holder('c'), key, 'id', 2, LEASE)).toBe(true);
      expect(await limits.take(holder('c'), { owner: ref('fourth'), backend: 'inventory' }, 'id', 2, LEASE)).toBe(
        false,
      );
      await limits.leave(holder('c'), { owner: ref('lives'), backend: 'inventory' }, 'of another session');
      expect(await limits.take(holder('c'), { owner: ref('fourth'), backend: 'inventory' }, 'id', 2, LEASE)).toBe(
        false,
      );
      await limits.leave(holder('c'), { owner: ref('lives'), backend: 'inventory' }, 'id');
      expect(await limits.take(holder('c'), { owner: ref('fourth'), backend: 'inventory' }, 'id', 2, LEASE)).toBe(true);
    });
  });

  describe(`control: ${name}`, () => {
    it('R-28: every read that begins after a revocation knows it, and revocations are numbered', async () => {
      const { clock, store } = await start();
      const before = await store.control.read(60_000);
      expect(before.revocations.size).toBe(0);
      await store.control.revoke({ client: clientId('a') });
      await store.control.revoke({ all: true });
      const after = await store.control.read(60_000);
      // The wider revocation replaces the narrower one.
      const first = clock.now();
      expect(Object.fromEntries(after.revocations)).toEqual({ all: first + 1 });
      expect(after).toMatchObject({ epoch: before.epoch, lost: false, lastRevocation: first + 1 });
      await store.control.revoke({ client: clientId('a') });
      await store.control.revoke({ subject: 'a' });
      const newest = await store.control.read(60_000);
      expect(Object.fromEntries(newest.revocations)).toEqual({
        all: first + 1,
        'client:a': first + 2,
        'subject:a': first + 3,
      });
      // What the store has lost can be given back; the higher number holds.
      await store.control.restore(
        new Map([
          ['client:a', first],
          ['client:b', first + 9],
        ]),
      );
      const restored = await store.control.read(0);
      expect(restored.revocations.get('client:a')).toBe(first + 2);
      expect(restored.revocations.get('client:b')).toBe(first + 9);
      expect(restored.lastRevocation).toBe(first + 9);
    });

    it('R-28: the same client id or subject of two issuers is two clients', async () => {
      const { store } = await start();
      const { lastRevocation } = await store.control.read(0);
      await store.control.revoke({ client: clientId('a'), issuer: 'https://one.example' });
      const state = await store.control.read(0);
      const of = (issuer: string) => ({ client: clientId('a'), subject: 's', issuer });
      expect(revokedSince(state, lastRevocation, of('https://one.example'))).toBe(true);
      expect(revokedSince(state, lastRevocation, of('https://two.example'))).toBe(false);
      await store.control.revoke({ client: clientId('a') });
      expect(revokedSince(await store.control.read(0), lastRevocation, of('https://two.example'))).toBe(true);
    });

    it('R-28: a revocation is kept for as long as there can be anything that it ends', async () => {
      const { clock, store } = await start();
      await store.control.revoke({ client: clientId('old') });
      clock.advance(9 * 24 * 3600);
      await store.control.revoke({ client: clientId('new') });
      expect([...(await store.control.read(0)).revocations.keys()]).toEqual(['client:new']);
    });

    it('R-29: a history that was lost begins a new epoch once, however many notice it', async () => {
      const { store } = await start();
      const { epoch } = await store.control.read(0);
      await Promise.all([store.control.loseHistory(epoch), store.control.loseHistory(epoch)]);
      const now = await store.control.read(0);
      expect(now).toMatchObject({ lost: true });
      await store.control.loseHistory(epoch);
      expect((await store.control.read(0)).epoch).toBe(now.epoch);
    });
  });

  describe(`proofs: ${name}`, () => {
    it('R-08: of 50 copies of one proof one counts as new, and the others learn of its first use', async () => {
      const { store } = await start();
      const use = { at: 5, ip: '10.0.0.1', network: '10.0.0.0/24' };
      const uses = await Promise.all(Array.from({ length: 50 }, () => store.proofs.use('p', use, 60_000)));
      expect(uses.filter((first) => first === undefined)).toHaveLength(1);
      expect(uses.filter((first) => first?.at === 5)).toHaveLength(49);
      expect(await store.proofs.use('another', use, 60_000)).toBeUndefined();
    });
  });
}
