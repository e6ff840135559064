// The session manager under races, with a backend that does what it is told. On the memory of one
// process, and on a real Redis, where two managers are two replicas.

import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { BackendPort, BackendToken, Checkpoint } from '../../src/backend/port.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Bound } from '../../src/decision/schema.ts';
import { createFingerprint, createSealer } from '../../src/keyring/sealing.ts';
import type { SessionEvent } from '../../src/session/events.ts';
import { createSessionManager, type ObservedSession, type SessionManager } from '../../src/session/manager.ts';
import type { SessionRecord } from '../../src/session/record.ts';
import { createMemoryStore } from '../../src/store/memory/store.ts';
import { rowOf } from '../../src/store/redis/row.ts';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { until } from '../support/harness.ts';
import { redisStore, startRedis, type TestRedis } from '../support/redis.ts';
import { clientId, ref } from '../support/refs.ts';

const HOME = { ip: '10.0.0.1', network: '10.0.0.0/24' };
const bound: Bound = { client_id: clientId('a'), subject: 'a', key: null, ipv4: HOME, ipv6: null };
const program = inject('redis');
const keys = [{ id: 'k', secret: new Secret(randomBytes(32)) }];
const fingerprintKey = new Secret(randomBytes(32));

let live: Set<string>;
let logins: number;
let gate: Promise<void> | undefined;
/** What happens between the answer of the backend and the end of the login. */
let afterLogin: ((checkpoint: Checkpoint, token: Secret<BackendToken>) => Promise<void>) | undefined;
let events: SessionEvent[];
let store: Store;
let sessions: SessionManager;
let backend: BackendPort;
let clock: TestClock;

const name = (token: Secret<BackendToken>) => token.reveal().values.id as string;

function manager(of: Store, ring = keys): SessionManager {
  return createSessionManager({
    store: of.sessions,
    limits: of.limits,
    control: of.control,
    backends: new Map([['b', backend]]),
    sealer: createSealer(() => ring, 'session'),
    fingerprint: createFingerprint(fingerprintKey),
    clock,
    events: (event) => void events.push(event),
    endsAt: ({ createdAt }) => createdAt + 3_600_000,
  });
}

const KEY = (owner = 'owner') => ({ backend: 'b', owner: ref(owner) });
const SHARED = { key: '', credentials: {} };
const request = (owner = 'owner', place = bound, account = SHARED) => ({
  backend,
  owner: ref(owner),
  bound: place,
  account,
});
const seen = async (owner = 'owner', by = sessions, at = store): Promise<ObservedSession> =>
  by.examine(KEY(owner), await at.sessions.get(KEY(owner)));
async function acquired(result: Promise<Awaited<ReturnType<SessionManager['acquire']>>>) {
  const value = await result;
  if (!value.ok) throw new Error(value.code);
  return value.session;
}
const stored = async (owner = 'owner') => (await store.sessions.get(KEY(owner))).record;

beforeEach(() => {
  live = new Set();
  logins = 0;
  gate = undefined;
  afterLogin = undefined;
  events = [];
  clock = createTestClock();
  backend = {
    name: 'b',
    drainMs: 50,
    loginLimitMs: 1000,
    oneAtATime: false,
    keepAliveTimes: undefined,
    account: () => SHARED,
    async login(_account, checkpoint) {
      const id = `token-${++logins}`;
      await gate;
      live.add(id);
      const token = new Secret({ cookies: [], values: { id } });
      await afterLogin?.(checkpoint, token);
      return { ok: true, backendToken: token };
    },
    async logout(token) {
      live.delete(name(token));
      return 'dead';
    },
    call: () => Promise.reject(new Error('not used')),
    keepAlive: async () => ({ kind: 'ok' }),
    health: () => ({ circuit: 'closed', inFlight: 0, queued: 0, pausedSeconds: 0 }),
    close: async () => {},
  };
});

function managerSuite(): void {
  it('R-23: callers at once share one login, and each has a lease of its own', async () => {
    const nothing = await seen();
    const all = await Promise.all(Array.from({ length: 30 }, () => acquired(sessions.acquire(request(), nothing))));
    expect(logins).toBe(1);
    expect(new Set(all.map((s) => name(s.backendToken)))).toEqual(new Set(['token-1']));
  });

  it('R-23: callers that want the same generation rotated share one rotation', async () => {
    (await acquired(sessions.acquire(request(), await seen()))).release();
    const old = await seen();
    const all = await Promise.all(Array.from({ length: 30 }, () => acquired(sessions.rotate(request(), old, 'age'))));
    expect(new Set(all.map((s) => s.record.generation))).toEqual(new Set([2]));
    for (const s of all) s.release();
    await sessions.settled();
    expect(live).toEqual(new Set(['token-2']));
  });

  it('R-25: a token in use is drained before it is logged out, bounded', async () => {
    const first = await acquired(sessions.acquire(request(), await seen()));
    (await acquired(sessions.rotate(request(), await seen(), 'age'))).release();
    expect(live.has('token-1')).toBe(true);
    first.release();
    await sessions.settled();
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', drained: true });

    await acquired(sessions.acquire(request(), await seen()));
    (await acquired(sessions.rotate(request(), await seen(), 'age'))).release();
    await sessions.settled();
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', drained: false });
    expect(live).toEqual(new Set(['token-3']));
  });

  it('R-12: a session that another call bound elsewhere is not handed out: no decision has looked at it', async () => {
    const nothing = await seen();
    const there = { ...bound, ipv4: { ...HOME, ip: '10.0.0.99' } };
    const [here, other] = await Promise.all([
      sessions.acquire(request(), nothing),
      sessions.acquire(request('owner', there), nothing),
    ]);
    expect(here.ok).toBe(true);
    expect(other).toMatchObject({ ok: false, code: 'session.changed' });
    const old = await seen();
    (await acquired(sessions.rotate(request('owner', there), old, 'moved'))).release();
    expect(await sessions.acquire(request(), old)).toMatchObject({ ok: false, code: 'session.changed' });
  });

  describe('R-26: revocation', () => {
    it('a call allowed on a session that was revoked since does not bring it back', async () => {
      const nothing = await seen();
      (await acquired(sessions.acquire(request(), nothing))).release();
      const decided = await seen();
      await sessions.revoke(backend, ref('owner'), 'test');
      expect(await sessions.acquire(request(), decided)).toMatchObject({ ok: false, code: 'session.revoked' });
      expect(await sessions.rotate(request(), decided, 'age')).toMatchObject({ ok: false, code: 'session.revoked' });
      // Nor does one that was allowed before there was a session.
      expect(await sessions.acquire(request(), nothing)).toMatchObject({ ok: false, code: 'session.revoked' });
      await sessions.settled();
      expect(live.size).toBe(0);
      expect(logins).toBe(1);
    });

    it('an answer that renews a revoked session neither revives it nor replaces its successor', async () => {
      const first = await acquired(sessions.acquire(request(), await seen()));
      await sessions.revoke(backend, ref('owner'), 'test');
      const second = await acquired(sessions.acquire(request(), await seen()));
      expect(second.record).toMatchObject({ generation: 1 });
      live.add('renewed');
      await sessions.renew(first, new Secret({ cookies: [], values: { id: 'renewed' } }));
      expect((await stored())?.id).toBe(second.record.id);
      first.release();
      second.release();
      await sessions.settled();
      expect(live).toEqual(new Set(['token-2']));
    });

    it('attack 14: a storm of rotations and revocations leaves nothing alive that is not stored', async () => {
      for (let round = 0; round < 20; round++) {
        const current = await sessions.acquire(request(), await seen());
        if (current.ok) current.session.release();
        const decided = await seen();
        const work: Promise<unknown>[] = [];
        for (let i = 0; i < 10; i++) {
          work.push(sessions.rotate(request(), decided, 'storm').then((r) => r.ok && r.session.release()));
          if (i % 3 === 0) work.push(sessions.revoke(backend, ref('owner'), 'storm'));
        }
        await Promise.all(work);
      }
      await sessions.revoke(backend, ref('owner'), 'end');
      await sessions.settled();
      expect(live.size).toBe(0);
      expect(await stored()).toBeUndefined();
    });

    it('a login that a revocation overtakes is logged out, and its call refused', async () => {
      let open = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      const pending = sessions.acquire(request(), await seen());
      await until(() => logins === 1, 'the login to begin');
      await sessions.revoke(backend, ref('owner'), 'test');
      open();
      expect(await pending).toMatchObject({ ok: false, code: 'session.revoked' });
      await sessions.settled();
      expect(live.size).toBe(0);
    });

    it('who was decided on after a revocation gets nothing of a login that had begun before it', async () => {
      let open = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      const before = sessions.acquire(request(), await seen());
      await until(() => logins === 1, 'the login to begin');
      await sessions.revoke(backend, ref('owner'), 'test');
      const after = sessions.acquire(request(), await seen());
      open();
      expect(await before).toMatchObject({ ok: false, code: 'session.revoked' });
      expect(name((await acquired(after)).backendToken)).toBe('token-2');
      await sessions.settled();
      expect(live).toEqual(new Set(['token-2']));
    });

    it('R-28: a wide revocation ends what it means, logs it out, and spares the rest', async () => {
      const bob: Bound = { ...bound, subject: 'bob' };
      const used = await acquired(sessions.acquire(request('a'), await seen('a')));
      (await acquired(sessions.acquire(request('b', bob), await seen('b')))).release();
      used.release();
      expect(await sessions.revokeAll({ subject: 'bob' }, 'test')).toBe(1);
      expect(await sessions.revokeAll({ subject: 'nobody' }, 'test')).toBe(0);
      await sessions.settled();
      expect(live).toEqual(new Set(['token-1']));
      expect(await sessions.revokeAll({ session: used.record.fingerprint }, 'test')).toBe(1);
      expect((await seen('a')).record).toBeUndefined();
      (await acquired(sessions.acquire(request('a'), await seen('a')))).release();
      expect(await sessions.revokeAll({ all: true }, 'test')).toBe(1);
      await sessions.settled();
      expect(live.size).toBe(0);
    });

    it('R-26: a wide revocation during a login takes the new session with it', async () => {
      let open = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      const pending = sessions.acquire(request(), await seen());
      await until(() => logins === 1, 'the login to begin');
      expect(await sessions.revokeAll({ client: clientId('a') }, 'test')).toBe(0);
      open();
      expect(await pending).toMatchObject({ ok: false, code: 'session.revoked' });
      await sessions.settled();
      expect(live.size).toBe(0);
      expect(await stored()).toBeUndefined();
      (await acquired(sessions.acquire(request(), await seen()))).release();
    });
  });

  it('R-54: a renewal by the backend moves on one generation, and loses against a rotation', async () => {
    const session = await acquired(sessions.acquire(request(), await seen()));
    live.add('renewed');
    await sessions.renew(session, new Secret({ cookies: [], values: { id: 'renewed' } }));
    const next = await acquired(sessions.acquire(request(), await seen()));
    expect([next.record.generation, name(next.backendToken)]).toEqual([2, 'renewed']);
    live.add('too late');
    await sessions.renew(session, new Secret({ cookies: [], values: { id: 'too late' } }));
    expect((await stored())?.generation).toBe(2);
    session.release();
    next.release();
    await sessions.settled();
    expect(live.has('too late')).toBe(false);
  });

  it('R-41, attack 21: a record that was moved, rolled back, bound elsewhere or made younger does not open, and ends', async () => {
    const open = async (owner: string) =>
      (await acquired(sessions.acquire(request(owner), await seen(owner)))).release();
    await open('alice');
    const alice = await stored('alice');
    const forgeries = [
      () => alice,
      () => ({ ...alice, owner: ref('bob') }),
      (bob: object) => ({ ...bob, sealed: alice?.sealed }),
      (bob: object) => ({ ...bob, generation: 9 }),
      (bob: { issuedAt: number }) => ({ ...bob, issuedAt: bob.issuedAt + 1 }),
      (bob: object) => ({ ...bob, createdAt: 0 }),
      (bob: object) => ({ ...bob, sinceRevocation: 99 }),
      (bob: object) => ({ ...bob, bound: { ...bound, ipv4: { ...HOME, ip: '6.6.6.6' } } }),
    ];
    for (const forge of forgeries) {
      await open('bob');
      const bob = (await stored('bob')) as NonNullable<typeof alice>;
      const forged = forge(bob) as typeof bob;
      expect(await store.sessions.replace(KEY('bob'), bob, forged)).toBe(true);
      const refused =
        forged.owner === 'bob'
          ? await sessions.acquire(request('bob', forged.bound), await seen('bob'))
          : await seen('bob').catch(() => ({ ok: false, code: 'session.unavailable' }));
      expect(refused).toMatchObject({ ok: false, code: 'session.unavailable' });
      expect(await stored('bob')).toBeUndefined();
      expect(events.at(-1)).toMatchObject({ type: 'session_unopenable' });
    }
    expect((await sessions.acquire(request('alice'), await seen('alice'))).ok).toBe(true);
  });

  it('R-42: a key that is removed ends its sessions, also those that were opened before', async () => {
    const ring = [...keys];
    const source = { ring };
    const rotating = createSessionManager({
      store: store.sessions,
      limits: store.limits,
      control: store.control,
      backends: new Map([['b', backend]]),
      sealer: createSealer(() => source.ring, 'session'),
      fingerprint: createFingerprint(fingerprintKey),
      clock,
      events: (event) => void events.push(event),
      endsAt: () => Number.POSITIVE_INFINITY,
    });
    (await acquired(rotating.acquire(request(), await seen()))).release();
    const added = { id: 'new', secret: new Secret(randomBytes(32)) };
    source.ring = [added, ...ring];
    (await acquired(rotating.acquire(request(), await seen()))).release();
    source.ring = [added];
    expect(await rotating.acquire(request(), await seen())).toMatchObject({ ok: false, code: 'session.unavailable' });
    (await acquired(rotating.acquire(request(), await seen()))).release();
    expect((await stored())?.sealed).toMatch(/^new\./);
  });

  it('R-30: one session more than the limit is refused, rotations are not', async () => {
    const limited = (owner: string) => ({ ...request(owner), limit: 2 });
    for (const owner of ['x', 'y']) (await acquired(sessions.acquire(limited(owner), await seen(owner)))).release();
    expect(await sessions.acquire(limited('z'), await seen('z'))).toMatchObject({ ok: false, code: 'session.limit' });
    (await acquired(sessions.rotate(limited('x'), await seen('x'), 'age'))).release();
    await sessions.revoke(backend, ref('x'), 'test');
    (await acquired(sessions.acquire(limited('z'), await seen('z')))).release();
  });

  it('R-21: a session whose client never comes back is ended when its time is over', async () => {
    (await acquired(sessions.acquire(request(), await seen()))).release();
    clock.advance(3599);
    await sessions.sweep();
    await sessions.settled();
    expect(live.size).toBe(1);
    clock.advance(1);
    await sessions.sweep();
    await sessions.settled();
    expect(live.size).toBe(0);
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', cause: 'past its time', proof: 'dead' });
  });

  it('R-25: a backend that does not answer a logout is asked again, and given up in the end', async () => {
    (await acquired(sessions.acquire(request(), await seen()))).release();
    const { logout } = backend;
    backend.logout = async () => 'unreachable';
    await sessions.revoke(backend, ref('owner'), 'test');
    await sessions.settled();
    expect(events.at(-1)).toMatchObject({ type: 'logout_pending' });
    backend.logout = logout;
    clock.advance(40);
    await sessions.sweep();
    await sessions.settled();
    expect(live.size).toBe(0);
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', proof: 'dead' });

    (await acquired(sessions.acquire(request(), await seen()))).release();
    backend.logout = async () => Promise.reject(new Error('down'));
    await sessions.revoke(backend, ref('owner'), 'test');
    for (let i = 0; i < 245; i++) {
      await sessions.settled();
      clock.advance(40);
      await sessions.sweep();
    }
    await sessions.settled();
    expect(events.filter(({ type }) => type === 'logout_pending')).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', proof: 'residual' });
  });

  it('R-25: a logout that takes long is not begun again by every sweep', async () => {
    (await acquired(sessions.acquire(request(), await seen()))).release();
    const { logout } = backend;
    let [begun, open] = [0, () => {}];
    const slow = new Promise<void>((resolve) => {
      open = resolve;
    });
    backend.logout = async (token) => {
      begun += 1;
      await slow;
      return logout(token);
    };
    await sessions.revoke(backend, ref('owner'), 'test');
    await until(() => begun === 1, 'the logout to begin');
    for (let i = 0; i < 5; i++) {
      clock.advance(60);
      await sessions.sweep();
    }
    open();
    await sessions.settled();
    expect(begun).toBe(1);
    expect(events.filter(({ type }) => type === 'session_ended')).toHaveLength(1);
  });

  it('R-28: many sessions are ended a few at a time', async () => {
    for (let i = 0; i < 40; i++) (await acquired(sessions.acquire(request(`o${i}`), await seen(`o${i}`)))).release();
    let [now, most] = [0, 0];
    const { logout } = backend;
    backend.logout = async (token) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 2));
      now -= 1;
      return logout(token);
    };
    expect(await sessions.revokeAll({ all: true }, 'test')).toBe(40);
    await sessions.settled();
    expect(live.size).toBe(0);
    expect(most).toBeLessThanOrEqual(8);
  });

  it('R-54: two answers with the same new token do not end it', async () => {
    const [first, second] = [
      await acquired(sessions.acquire(request(), await seen())),
      await acquired(sessions.acquire(request(), await seen())),
    ];
    live.add('renewed');
    const renewed = () => new Secret({ cookies: [], values: { id: 'renewed' } });
    await Promise.all([sessions.renew(first, renewed()), sessions.renew(second, renewed())]);
    first.release();
    second.release();
    await sessions.settled();
    expect(live.has('renewed')).toBe(true);
    expect(await stored()).toMatchObject({ generation: 2 });
  });

  it('R-27: what a login that never ended had opened is logged out by whoever is alive', async () => {
    const nothing = await seen();
    afterLogin = async (checkpoint, token) => {
      await checkpoint(token);
      // The replica dies here.
      return new Promise(() => {});
    };
    void sessions.acquire(request(), nothing);
    await until(() => live.size === 1, 'the login');
    await until(
      async () =>
        (await store.sessions.takeOverdue(Number.MAX_SAFE_INTEGER, clock.now(), async () => {})).some(
          ({ record }) => record,
        ),
      'the logout',
    );
    afterLogin = undefined;
    const survivor = manager(store);
    clock.advance(60);
    await survivor.sweep();
    await survivor.settled();
    expect(live.size).toBe(0);
    expect(events.at(-1)).toMatchObject({
      type: 'session_ended',
      cause: 'left behind',
      proof: 'dead',
    });
  });
}

describe('on the memory of one process', () => {
  afterEach(() => sessions.settled());
  beforeEach(() => {
    store = createMemoryStore({ clock, clients: 100, sessions: 100, ttlMs: 3_600_000 });
    sessions = manager(store);
  });
  managerSuite();

  it('R-24, attack 12: a writer that was paused during its login does not overwrite, and its login is logged out', async () => {
    const nothing = await seen();
    afterLogin = async () => {
      // The lease ends, and another replica is faster by exactly one login.
      afterLogin = undefined;
      clock.advance(60);
      (await acquired(manager(store).acquire(request(), nothing))).release();
    };
    (await acquired(sessions.acquire(request(), nothing))).release();
    expect(name((await acquired(sessions.acquire(request(), await seen()))).backendToken)).toBe('token-2');
    await sessions.settled();
    expect(live).toEqual(new Set(['token-2']));
  });

  it('R-27: a login whose store fails is logged out again, and the call refused', async () => {
    store.sessions.commit = () => Promise.reject(new Error('store down'));
    expect(await sessions.acquire(request(), await seen())).toMatchObject({ ok: false, code: 'session.unavailable' });
    await sessions.settled();
    expect(live.size).toBe(0);
  });

  it('R-25: at shutdown a login under way is waited for and logged out, and no new one begins', async () => {
    for (const owner of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'])
      (await acquired(sessions.acquire(request(owner), await seen(owner)))).release();
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const pending = sessions.acquire(request('late'), await seen('late'));
    await until(() => logins === 11, 'the login to begin');
    const closing = sessions.close();
    open();
    const result = await pending;
    if (result.ok) result.session.release();
    await closing;
    expect(live.size).toBe(0);
    expect(await sessions.acquire(request('z'), await seen('z'))).toMatchObject({
      ok: false,
      code: 'session.unavailable',
    });
  });
});

describe.skipIf(program === null)('on Redis', () => {
  let redis: TestRedis;
  let prefix: string;
  let others: Store[];
  const replica = async (): Promise<{ manager: SessionManager; store: Store }> => {
    const other = await redisStore(redis, clock, { prefix });
    others.push(other);
    return { manager: manager(other), store: other };
  };
  beforeAll(async () => {
    redis = await startRedis(program as string);
  });
  beforeEach(async () => {
    prefix = `m-${randomBytes(4).toString('hex')}`;
    others = [];
    ({ manager: sessions, store } = await replica());
  });
  afterEach(async () => {
    await sessions.settled();
    for (const other of others) await other.close();
  });
  afterAll(() => redis?.stop());

  managerSuite();

  it('R-23: callers on three replicas cause one login, and all get its result', async () => {
    const replicas = [{ manager: sessions, store }, await replica(), await replica()];
    const all = await Promise.all(
      replicas.flatMap(({ manager: each, store: at }) =>
        Array.from({ length: 20 }, async () => acquired(each.acquire(request(), await seen('owner', each, at)))),
      ),
    );
    expect(logins).toBe(1);
    expect(new Set(all.map(({ backendToken: token }) => name(token)))).toEqual(new Set(['token-1']));
    for (const session of all) session.release();
    const rotated = await Promise.all(
      replicas.flatMap(({ manager: each, store: at }) =>
        Array.from({ length: 20 }, async () => acquired(each.rotate(request(), await seen('owner', each, at), 'age'))),
      ),
    );
    // Who looked after the rotation wanted another one of what it saw.
    expect(logins).toBe(Math.max(...rotated.map(({ record }) => record.generation)));
    for (const session of rotated) session.release();
    for (const { manager: each } of replicas) await each.settled();
    expect(live.size).toBe(1);
  });

  it('R-23: a waiter on another replica learns that the login failed, and does not try at once', async () => {
    const other = await replica();
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const nothing = await seen();
    const login = backend.login;
    backend.login = async (_account, checkpoint) => {
      await login(SHARED, checkpoint);
      return { ok: false, code: 'session.login_failed', detail: 'wrong password' };
    };
    const first = sessions.acquire(request(), nothing);
    await until(() => logins === 1, 'the login to begin');
    const second = other.manager.acquire(request(), nothing);
    open();
    expect(await first).toMatchObject({ ok: false, code: 'session.login_failed' });
    expect(await second).toMatchObject({ ok: false, code: 'session.login_failed' });
    expect(logins).toBe(1);
  });

  it('R-24, attack 12: a replica that was paused during its login does not overwrite the newer session', async () => {
    const other = await replica();
    const nothing = await seen();
    afterLogin = async (checkpoint, token) => {
      await checkpoint(token);
      afterLogin = undefined;
      // Its lease ends while it stands still.
      await redis.command('DEL', `${prefix}:{owner}:lock:b`);
      (await acquired(other.manager.acquire(request(), nothing))).release();
    };
    (await acquired(sessions.acquire(request(), nothing))).release();
    await sessions.settled();
    expect(live).toEqual(new Set(['token-2']));
    expect((await stored())?.generation).toBe(1);
  });

  it('R-25: a token that a call on another replica is using is drained before it is logged out', async () => {
    const other = await replica();
    backend = { ...backend, drainMs: 5000 };
    (await acquired(sessions.acquire(request(), await seen()))).release();
    await other.store.facts.observe({ call: 'long', owner: ref('owner'), network: 'n', rpc: null, backend: 'b' });
    const used = await acquired(other.manager.acquire(request(), await seen('owner', other.manager, other.store)));
    const draining = manager(store);
    (await acquired(draining.rotate(request(), await seen(), 'age'))).release();
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(live.has('token-1')).toBe(true);
    used.release();
    await other.store.facts.finished(ref('owner'), 'long', { denied: false });
    await draining.settled();
    expect(live).toEqual(new Set(['token-2']));
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', drained: true, proof: 'dead' });
  });

  it('R-28: a revocation on one replica is seen by another before a second has passed, without its record', async () => {
    const other = await replica();
    (await acquired(sessions.acquire(request(), await seen()))).release();
    const record = await stored();
    await sessions.revokeAll({ backend: 'b' }, 'test');
    await sessions.settled();
    // Even if the record came back, as after a failover.
    await redis.command('SET', `${prefix}:{owner}:session:b`, rowOf(record as SessionRecord, Date.now() + 60_000));
    await new Promise((resolve) => setTimeout(resolve, 450));
    expect((await seen('owner', other.manager, other.store)).record).toBeUndefined();
  });

  it('R-29: a store that fails refuses, and nothing is left alive at the backend', async () => {
    const nothing = await seen();
    afterLogin = async (checkpoint, token) => {
      afterLogin = undefined;
      await checkpoint(token);
      await redis.kill();
    };
    expect(await sessions.acquire(request(), nothing)).toMatchObject({ ok: false, code: 'session.unavailable' });
    await sessions.settled();
    expect(live.size).toBe(0);
    await redis.restart();
  });
});
