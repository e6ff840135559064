// The session manager under races: one login, rotations, limits, and writers that were paused.
import { expect, it } from 'vitest';
import { until } from '../support/harness.ts';
import { ref } from '../support/refs.ts';
import {
  acquired,
  backend,
  bound,
  changeBackend,
  clock,
  events,
  HOME,
  holdLogins,
  live,
  logins,
  manager,
  name,
  observed,
  onLogin,
  onMemory,
  onRedis,
  prefix,
  redis,
  replica,
  request,
  SHARED,
  sessions,
  store,
  stored,
} from '../support/sessions.ts';

function suite(): void {
  it('R-23: concurrent calls share one login, and each of them gets the backend token', async () => {
    const nothing = await observed();
    const all = await Promise.all(Array.from({ length: 30 }, () => acquired(sessions.acquire(request(), nothing))));
    expect(logins).toBe(1);
    expect(new Set(all.map((s) => name(s.backendToken)))).toEqual(new Set(['token-1']));
  });

  it('R-23: concurrent calls that want the same generation rotated share one rotation', async () => {
    (await acquired(sessions.acquire(request(), await observed()))).release();
    const old = await observed();
    const all = await Promise.all(Array.from({ length: 30 }, () => acquired(sessions.rotate(request(), old, 'age'))));
    expect(new Set(all.map((s) => s.record.generation))).toEqual(new Set([2]));
    for (const s of all) s.release();
    await sessions.settled();
    expect(live).toEqual(new Set(['token-2']));
  });

  it('R-25: a backend token in use is drained before it is logged out, within a time limit', async () => {
    const first = await acquired(sessions.acquire(request(), await observed()));
    (await acquired(sessions.rotate(request(), await observed(), 'age'))).release();
    expect(live.has('token-1')).toBe(true);
    first.release();
    await sessions.settled();
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', drained: true });

    await acquired(sessions.acquire(request(), await observed()));
    (await acquired(sessions.rotate(request(), await observed(), 'age'))).release();
    await sessions.settled();
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', drained: false });
    expect(live).toEqual(new Set(['token-3']));
  });

  it('R-12: a session that another call bound elsewhere is not handed out, because no decision was made on it', async () => {
    const nothing = await observed();
    const there = { ...bound, ipv4: { ...HOME, ip: '10.0.0.99' } };
    const [here, other] = await Promise.all([
      sessions.acquire(request(), nothing),
      sessions.acquire(request('owner', there), nothing),
    ]);
    expect(here.ok).toBe(true);
    expect(other).toMatchObject({ ok: false, code: 'session.changed' });
    const old = await observed();
    (await acquired(sessions.rotate(request('owner', there), old, 'moved'))).release();
    expect(await sessions.acquire(request(), old)).toMatchObject({ ok: false, code: 'session.changed' });
  });

  it('R-30: a session beyond the limit is refused, but rotations are not', async () => {
    const limited = (owner: string) => ({ ...request(owner), limit: 2 });
    for (const owner of ['x', 'y']) (await acquired(sessions.acquire(limited(owner), await observed(owner)))).release();
    expect(await sessions.acquire(limited('z'), await observed('z'))).toMatchObject({
      ok: false,
      code: 'session.limit',
    });
    (await acquired(sessions.rotate(limited('x'), await observed('x'), 'age'))).release();
    await sessions.revoke(backend, ref('x'), 'test');
    (await acquired(sessions.acquire(limited('z'), await observed('z')))).release();
  });
}

onMemory(suite);
onRedis(suite);

onMemory(() => {
  it('R-24, attack 12: a writer that was paused during its login overwrites nothing, and its login is logged out', async () => {
    const nothing = await observed();
    onLogin(async () => {
      // The lease of the login lock ends, and another replica logs in once in the meantime.
      onLogin(undefined);
      clock.advance(60);
      (await acquired(manager(store).acquire(request(), nothing))).release();
    });
    (await acquired(sessions.acquire(request(), nothing))).release();
    expect(name((await acquired(sessions.acquire(request(), await observed()))).backendToken)).toBe('token-2');
    await sessions.settled();
    expect(live).toEqual(new Set(['token-2']));
  });

  it('R-27: a login that cannot be stored is logged out again, and its call is refused', async () => {
    store.sessions.commit = () => Promise.reject(new Error('store down'));
    expect(await sessions.acquire(request(), await observed())).toMatchObject({
      ok: false,
      code: 'session.unavailable',
    });
    await sessions.settled();
    expect(live.size).toBe(0);
  });

  it('R-25: at shutdown a login under way is waited for and logged out, and no new one begins', async () => {
    for (const owner of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'])
      (await acquired(sessions.acquire(request(owner), await observed(owner)))).release();
    const open = holdLogins();
    const pending = sessions.acquire(request('late'), await observed('late'));
    await until(() => logins === 11, 'the login to begin');
    const closing = sessions.close();
    open();
    const result = await pending;
    if (result.ok) result.session.release();
    await closing;
    expect(live.size).toBe(0);
    expect(await sessions.acquire(request('z'), await observed('z'))).toMatchObject({
      ok: false,
      code: 'session.unavailable',
    });
  });
});

onRedis(() => {
  it('R-23: calls on three replicas cause one login, and all of them get its result', async () => {
    const replicas = [{ manager: sessions, store }, await replica(), await replica()];
    const all = await Promise.all(
      replicas.flatMap(({ manager: each, store: at }) =>
        Array.from({ length: 20 }, async () => acquired(each.acquire(request(), await observed('owner', each, at)))),
      ),
    );
    expect(logins).toBe(1);
    expect(new Set(all.map(({ backendToken: token }) => name(token)))).toEqual(new Set(['token-1']));
    for (const session of all) session.release();
    const rotated = await Promise.all(
      replicas.flatMap(({ manager: each, store: at }) =>
        Array.from({ length: 20 }, async () =>
          acquired(each.rotate(request(), await observed('owner', each, at), 'age')),
        ),
      ),
    );
    // A call that observed the session after the rotation asked for another rotation of the new generation.
    expect(logins).toBe(Math.max(...rotated.map(({ record }) => record.generation)));
    for (const session of rotated) session.release();
    for (const { manager: each } of replicas) await each.settled();
    expect(live.size).toBe(1);
  });

  it('R-23: a call that waits on another replica learns that the login failed, and does not log in at once', async () => {
    const other = await replica();
    const open = holdLogins();
    const nothing = await observed();
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
    const nothing = await observed();
    onLogin(async (checkpoint, token) => {
      await checkpoint(token);
      onLogin(undefined);
      // The lease of its login lock ends while the replica is paused.
      await redis.command('DEL', `${prefix}:2:{owner}:lock:b`);
      (await acquired(other.manager.acquire(request(), nothing))).release();
    });
    (await acquired(sessions.acquire(request(), nothing))).release();
    await sessions.settled();
    expect(live).toEqual(new Set(['token-2']));
    expect((await stored())?.generation).toBe(1);
  });

  it('R-25: a backend token that a call on another replica is using is drained before it is logged out', async () => {
    const other = await replica();
    changeBackend({ drainMs: 5000 });
    (await acquired(sessions.acquire(request(), await observed()))).release();
    await other.store.facts.observe({ call: 'long', owner: ref('owner'), network: 'n', rpc: null, backend: 'b' });
    const used = await acquired(other.manager.acquire(request(), await observed('owner', other.manager, other.store)));
    const draining = manager(store);
    (await acquired(draining.rotate(request(), await observed(), 'age'))).release();
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(live.has('token-1')).toBe(true);
    used.release();
    await other.store.facts.finished(ref('owner'), 'long', { denied: false });
    await draining.settled();
    expect(live).toEqual(new Set(['token-2']));
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', drained: true, proof: 'dead' });
  });

  it('R-29: when the store fails the call is refused, and no session is left alive at the backend', async () => {
    const nothing = await observed();
    onLogin(async (checkpoint, token) => {
      onLogin(undefined);
      await checkpoint(token);
      await redis.kill();
    });
    expect(await sessions.acquire(request(), nothing)).toMatchObject({ ok: false, code: 'session.unavailable' });
    await sessions.settled();
    expect(live.size).toBe(0);
    await redis.restart();
  });
});
