// The session manager under races, with a backend that does what it is told.
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { BackendPort, BackendToken } from '../../src/backend/port.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Bound } from '../../src/decision/schema.ts';
import type { SessionEvent } from '../../src/session/events.ts';
import { createSessionManager, type SessionManager } from '../../src/session/manager.ts';
import { createFingerprint, createSealer } from '../../src/session/sealing.ts';
import type { SessionStore } from '../../src/session/store.ts';
import { createMemorySessions } from '../../src/store/memory/sessions.ts';
import { createTestClock } from '../support/clock.ts';
import { until } from '../support/harness.ts';

const bound: Bound = { client_id: 'a', subject: 'a', ip: '10.0.0.1', network: '10.0.0.0/24', key: null };

let live: Set<string>;
let logins: number;
let gate: Promise<void> | undefined;
let events: SessionEvent[];
let store: SessionStore;
let sessions: SessionManager;
let backend: BackendPort;

const name = (token: Secret<BackendToken>) => token.reveal().values.id as string;

beforeEach(() => {
  live = new Set();
  logins = 0;
  gate = undefined;
  events = [];
  backend = {
    name: 'b',
    drainMs: 50,
    async login() {
      const id = `token-${++logins}`;
      await gate;
      live.add(id);
      return { ok: true, token: new Secret({ cookies: [], values: { id } }) };
    },
    async logout(token) {
      live.delete(name(token));
      return 'dead';
    },
    call: () => Promise.reject(new Error('not used')),
    close: async () => {},
  };
  store = createMemorySessions({ sessions: 100 });
  sessions = createSessionManager({
    store,
    backends: new Map([['b', backend]]),
    sealer: createSealer([{ id: 'k', secret: new Secret(randomBytes(32)) }], 'session'),
    fingerprint: createFingerprint(new Secret(randomBytes(32))),
    clock: createTestClock(),
    events: (event) => void events.push(event),
  });
});

const request = (owner = 'owner', place = bound) => ({ backend, owner, bound: place });
const seen = (owner = 'owner') => sessions.peek('b', owner);
async function acquired(result: Promise<Awaited<ReturnType<SessionManager['acquire']>>>) {
  const value = await result;
  if (!value.ok) throw new Error(value.code);
  return value.session;
}

it('R-23: callers at once share one login, and each has a lease of its own', async () => {
  const nothing = await seen();
  const all = await Promise.all(Array.from({ length: 30 }, () => acquired(sessions.acquire(request(), nothing))));
  expect(logins).toBe(1);
  expect(new Set(all.map((s) => name(s.token)))).toEqual(new Set(['token-1']));
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
  const there = { ...bound, ip: '10.0.0.99' };
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
    await sessions.revoke(backend, 'owner', 'test');
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
    await sessions.revoke(backend, 'owner', 'test');
    const second = await acquired(sessions.acquire(request(), await seen()));
    expect(second.record).toMatchObject({ generation: 1 });
    live.add('renewed');
    await sessions.renew(first, new Secret({ cookies: [], values: { id: 'renewed' } }));
    expect((await store.get('b:owner'))?.id).toBe(second.record.id);
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
        if (i % 3 === 0) work.push(sessions.revoke(backend, 'owner', 'storm'));
      }
      await Promise.all(work);
    }
    await sessions.revoke(backend, 'owner', 'end');
    await sessions.settled();
    expect(live.size).toBe(0);
    expect(await store.get('b:owner')).toBeUndefined();
  });

  it('a revocation during a login waits for it and takes it away', async () => {
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const pending = sessions.acquire(request(), await seen());
    await until(() => logins === 1, 'the login to begin');
    const revoked = sessions.revoke(backend, 'owner', 'test');
    open();
    const result = await pending;
    if (result.ok) result.session.release();
    await revoked;
    await sessions.settled();
    expect(live.size).toBe(0);
  });
});

it('R-24, attack 12: a writer that was paused during its login does not overwrite, and its login is logged out', async () => {
  const set = store.compareAndSet.bind(store);
  store.compareAndSet = async (key, expected, record) => {
    // Another replica is faster by exactly one write.
    store.compareAndSet = set;
    await set(key, expected, { ...record, sealed: 'of the other', tokenFingerprint: 'other' });
    return set(key, expected, record);
  };
  // What the other replica sealed with another key does not open here: refused, never guessed.
  expect(await sessions.acquire(request(), await seen())).toMatchObject({ ok: false, code: 'session.unavailable' });
  await sessions.settled();
  expect(live.size).toBe(0);
});

it('R-27: a login whose store fails is logged out again, and the call refused', async () => {
  store.compareAndSet = () => Promise.reject(new Error('store down'));
  expect(await sessions.acquire(request(), await seen())).toMatchObject({ ok: false, code: 'session.unavailable' });
  await sessions.settled();
  expect(live.size).toBe(0);
});

it('attack 21: a record that was moved to another owner, rolled back, bound elsewhere or made younger does not open', async () => {
  (await acquired(sessions.acquire(request('alice'), await seen('alice')))).release();
  (await acquired(sessions.acquire(request('bob'), await seen('bob')))).release();
  const [alice, bob] = [await store.get('b:alice'), await store.get('b:bob')];
  if (!alice || !bob) throw new Error('no record');
  const forged = [
    alice,
    { ...alice, owner: 'bob' },
    { ...bob, sealed: alice.sealed },
    { ...bob, generation: 9 },
    { ...bob, issuedAt: bob.issuedAt + 1 },
    { ...bob, createdAt: 0 },
    { ...bob, bound: { ...bound, ip: '6.6.6.6' } },
  ];
  for (const record of forged) {
    await store.remove('b:bob');
    await store.compareAndSet('b:bob', null, record);
    const place = record.bound;
    expect(await sessions.acquire(request('bob', place), await seen('bob'))).toMatchObject({
      ok: false,
      code: 'session.unavailable',
    });
  }
  await store.remove('b:bob');
  await store.compareAndSet('b:bob', null, bob);
  expect((await sessions.acquire(request('bob'), await seen('bob'))).ok).toBe(true);
});

it('R-54: a renewal by the backend moves on one generation, and loses against a rotation', async () => {
  const session = await acquired(sessions.acquire(request(), await seen()));
  live.add('renewed');
  await sessions.renew(session, new Secret({ cookies: [], values: { id: 'renewed' } }));
  const next = await acquired(sessions.acquire(request(), await seen()));
  expect([next.record.generation, name(next.token)]).toEqual([2, 'renewed']);
  live.add('too late');
  await sessions.renew(session, new Secret({ cookies: [], values: { id: 'too late' } }));
  expect((await store.get('b:owner'))?.generation).toBe(2);
  session.release();
  next.release();
  await sessions.settled();
  expect(live.has('too late')).toBe(false);
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
