// failed logins of one account, over replicas, clients and time: the system must not lock it for people.
import { expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import {
  changeBackend,
  clock,
  events,
  manager,
  noted,
  observed,
  onMemory,
  onRedis,
  replica,
  request,
  sessions,
  store,
} from '../support/sessions.ts';

const quota = { calls: undefined, waitMs: 1000, perMinute: undefined, failures: { most: 3, withinMs: 600_000 } };

/** A backend that refuses all logins until it is told otherwise. Answers how many there were. */
function refusing() {
  const at = { tries: 0, refuses: true };
  changeBackend({
    quota,
    async login() {
      at.tries += 1;
      if (!at.refuses) return { ok: true, backendToken: new Secret({ cookies: [], values: { id: `t${at.tries}` } }) };
      return { ok: false, code: 'session.login_failed', detail: 'wrong password' };
    },
  });
  return at;
}

function suite(): void {
  it('after so many there is no other, whoever asks, until their time is over; the refusal says when', async () => {
    const at = refusing();
    const ask = async (owner: string, by = sessions) => by.acquire(request(owner), await observed(owner, by));
    for (let i = 0; i < 8; i++) {
      expect(await ask(`owner-${i}`)).toMatchObject({ ok: false, code: 'session.login_failed' });
      // Longer than the pause after each failure.
      clock.advance(10);
    }
    expect(at.tries).toBe(3);
    const held = await ask('owner-9');
    expect(held).toMatchObject({ ok: false, detail: expect.stringContaining('failed_logins') });
    expect(held.ok ? 0 : held.retryAfterSeconds).toBeGreaterThan(400);
    expect(events.filter(({ type }) => type === 'login_failed')).toHaveLength(3);
    // Another account, and the same one with another password, are not held back.
    const other = { key: 'other', credentials: {} };
    await sessions.acquire(request('owner-10', undefined, other), await observed('owner-10'));
    const mended = { key: '', credentials: { password: new Secret('new') } };
    await sessions.acquire(request('owner-11', undefined, mended), await observed('owner-11'));
    expect(at.tries).toBe(5);
    clock.advance(600);
    at.refuses = false;
    expect((await ask('owner-12')).ok).toBe(true);
    expect(at.tries).toBe(6);
  });

  it('R-27: without an answer of the store no login begins, and none is noted as left behind', async () => {
    const at = refusing();
    const entries = noted();
    const quotas = { ...store.quotas, login: () => Promise.reject(new Error('away')) };
    const own = manager(store, { quotas, entries });
    expect(await own.acquire(request(), await observed())).toMatchObject({ ok: false, code: 'session.unavailable' });
    expect(at.tries).toBe(0);
    expect(entries.all()).toEqual([]);
  });

  it('a good login forgets them', async () => {
    const at = refusing();
    for (let i = 0; i < 7; i++) {
      at.refuses = i % 3 !== 2;
      await sessions.acquire(request(`owner-${i}`), await observed(`owner-${i}`));
      clock.advance(10);
    }
    expect(at.tries).toBe(7);
  });
}

onMemory(suite);
onRedis(() => {
  suite();

  it('on two replicas it is the same count', async () => {
    const at = refusing();
    const { manager: other, store } = await replica();
    for (let i = 0; i < 8; i++) {
      const [by, from] = i % 2 === 0 ? [sessions, undefined] : [other, store];
      await by.acquire(request(`owner-${i}`), await observed(`owner-${i}`, by, from));
      clock.advance(10);
    }
    expect(at.tries).toBe(3);
  });
});
