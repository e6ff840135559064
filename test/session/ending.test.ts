// How sessions end, and which replica ends them.
import { expect, it } from 'vitest';
import { until } from '../support/harness.ts';
import { ref } from '../support/refs.ts';
import {
  acquired,
  backend,
  clock,
  events,
  live,
  manager,
  observed,
  onLogin,
  onMemory,
  onRedis,
  request,
  sessions,
  store,
} from '../support/sessions.ts';

function suite(): void {
  it('R-21: a session whose client never comes back is ended when its time limit is reached', async () => {
    (await acquired(sessions.acquire(request(), await observed()))).release();
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

  it('R-25: a logout that the backend does not answer is tried again, and given up in the end', async () => {
    (await acquired(sessions.acquire(request(), await observed()))).release();
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

    (await acquired(sessions.acquire(request(), await observed()))).release();
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

  it('R-25: a slow logout is not started again by every sweep', async () => {
    (await acquired(sessions.acquire(request(), await observed()))).release();
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
    for (let i = 0; i < 40; i++)
      (await acquired(sessions.acquire(request(`o${i}`), await observed(`o${i}`)))).release();
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

  it('R-27: the backend session of a login that never ended is logged out by a living replica', async () => {
    const nothing = await observed();
    onLogin(async (checkpoint, token) => {
      await checkpoint(token);
      // The replica dies here.
      return new Promise(() => {});
    });
    void sessions.acquire(request(), nothing);
    await until(() => live.size === 1, 'the login');
    await until(
      async () =>
        (await store.sessions.takeOverdue(Number.MAX_SAFE_INTEGER, clock.now(), async () => {})).some(
          ({ record }) => record,
        ),
      'the logout',
    );
    onLogin(undefined);
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

onMemory(suite);
onRedis(suite);
