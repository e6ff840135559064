// what is revoked stays revoked, whatever races with it.
import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { Bound } from '../../src/decision/schema.ts';
import type { SessionRecord } from '../../src/session/record.ts';
import { rowOf } from '../../src/store/redis/sessions/row.ts';
import { until } from '../support/harness.ts';
import { clientId, ref } from '../support/refs.ts';
import {
  acquired,
  backend,
  bound,
  holdLogins,
  live,
  logins,
  name,
  observed,
  onMemory,
  onRedis,
  prefix,
  redis,
  replica,
  request,
  sessions,
  stored,
} from '../support/sessions.ts';

function suite(): void {
  describe('R-26: revocation', () => {
    it('a call that was allowed before its session was revoked does not bring the session back', async () => {
      const nothing = await observed();
      (await acquired(sessions.acquire(request(), nothing))).release();
      const decided = await observed();
      await sessions.revoke(backend, ref('owner'), 'test');
      expect(await sessions.acquire(request(), decided)).toMatchObject({ ok: false, code: 'session.revoked' });
      expect(await sessions.rotate(request(), decided, 'age')).toMatchObject({ ok: false, code: 'session.revoked' });
      // A call that was allowed before there was a session must not open one after the revocation either.
      expect(await sessions.acquire(request(), nothing)).toMatchObject({ ok: false, code: 'session.revoked' });
      await sessions.settled();
      expect(live.size).toBe(0);
      expect(logins).toBe(1);
    });

    it('an answer that renews a revoked session neither revives it nor replaces its successor', async () => {
      const first = await acquired(sessions.acquire(request(), await observed()));
      await sessions.revoke(backend, ref('owner'), 'test');
      const second = await acquired(sessions.acquire(request(), await observed()));
      expect(second.record).toMatchObject({ generation: 1 });
      live.add('renewed');
      await sessions.changed(first, { renewed: new Secret({ cookies: [], values: { id: 'renewed' } }) }, false);
      expect((await stored())?.id).toBe(second.record.id);
      first.release();
      second.release();
      await sessions.settled();
      expect(live).toEqual(new Set(['token-2']));
    });

    it('attack 14: a storm of rotations and revocations leaves nothing alive that is not stored', async () => {
      for (let round = 0; round < 20; round++) {
        const current = await sessions.acquire(request(), await observed());
        if (current.ok) current.session.release();
        const decided = await observed();
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
      const open = holdLogins();
      const pending = sessions.acquire(request(), await observed());
      await until(() => logins === 1, 'the login to begin');
      await sessions.revoke(backend, ref('owner'), 'test');
      open();
      expect(await pending).toMatchObject({ ok: false, code: 'session.revoked' });
      await sessions.settled();
      expect(live.size).toBe(0);
    });

    it('a call that was decided after a revocation is not served by a login that began before it', async () => {
      const open = holdLogins();
      const before = sessions.acquire(request(), await observed());
      await until(() => logins === 1, 'the login to begin');
      await sessions.revoke(backend, ref('owner'), 'test');
      const after = sessions.acquire(request(), await observed());
      open();
      expect(await before).toMatchObject({ ok: false, code: 'session.revoked' });
      expect(name((await acquired(after)).backendToken)).toBe('token-2');
      await sessions.settled();
      expect(live).toEqual(new Set(['token-2']));
    });

    it('R-28: a wide revocation ends the sessions it selects, logs them out, and spares the others', async () => {
      const bob: Bound = { ...bound, subject: 'bob' };
      const used = await acquired(sessions.acquire(request('a'), await observed('a')));
      (await acquired(sessions.acquire(request('b', bob), await observed('b')))).release();
      used.release();
      expect(await sessions.revokeAll({ subject: 'bob' }, 'test')).toBe(1);
      expect(await sessions.revokeAll({ subject: 'nobody' }, 'test')).toBe(0);
      await sessions.settled();
      expect(live).toEqual(new Set(['token-1']));
      expect(await sessions.revokeAll({ session: used.record.fingerprint }, 'test')).toBe(1);
      expect((await observed('a')).record).toBeUndefined();
      (await acquired(sessions.acquire(request('a'), await observed('a')))).release();
      expect(await sessions.revokeAll({ all: true }, 'test')).toBe(1);
      await sessions.settled();
      expect(live.size).toBe(0);
    });

    it('R-26: a wide revocation during a login also ends the new session', async () => {
      const open = holdLogins();
      const pending = sessions.acquire(request(), await observed());
      await until(() => logins === 1, 'the login to begin');
      expect(await sessions.revokeAll({ client: clientId('a') }, 'test')).toBe(0);
      open();
      expect(await pending).toMatchObject({ ok: false, code: 'session.revoked' });
      await sessions.settled();
      expect(live.size).toBe(0);
      expect(await stored()).toBeUndefined();
      (await acquired(sessions.acquire(request(), await observed()))).release();
    });
  });
}

onMemory(suite);
onRedis(suite);

onRedis(() => {
  it('R-28: a revocation on one replica holds on another within a second, even if the revoked record comes back', async () => {
    const other = await replica();
    (await acquired(sessions.acquire(request(), await observed()))).release();
    const record = await stored();
    await sessions.revokeAll({ backend: 'b' }, 'test');
    await sessions.settled();
    // The record is written back, as it may come back after a failover; the revocation must still hold.
    await redis.command('SET', `${prefix}:2:{owner}:session:b`, rowOf(record as SessionRecord));
    await new Promise((resolve) => setTimeout(resolve, 450));
    expect((await observed('owner', other.manager, other.store)).record).toBeUndefined();
  });
});
