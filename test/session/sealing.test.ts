// A stored session record opens only unchanged and only for its owner.
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { createSealer } from '../../src/keyring/sealing.ts';
import { ref } from '../support/refs.ts';
import {
  acquired,
  bound,
  events,
  HOME,
  KEY,
  keys,
  manager,
  observed,
  onMemory,
  onRedis,
  request,
  sessions,
  store,
  stored,
} from '../support/sessions.ts';

function suite(): void {
  it('R-41, attack 21: a record that was moved, rolled back, rebound or made younger does not open, and is removed', async () => {
    const open = async (owner: string) =>
      (await acquired(sessions.acquire(request(owner), await observed(owner)))).release();
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
      const before = events.length;
      const bob = (await stored('bob')) as NonNullable<typeof alice>;
      const forged = forge(bob) as typeof bob;
      expect(await store.sessions.replace(KEY('bob'), bob, forged)).toBe(true);
      const refused =
        forged.owner === 'bob'
          ? await sessions.acquire(request('bob', forged.bound), await observed('bob'))
          : await observed('bob').catch(() => ({ ok: false, code: 'session.unavailable' }));
      expect(refused).toMatchObject({ ok: false, code: 'session.unavailable' });
      expect(await stored('bob')).toBeUndefined();
      expect(events.slice(before)).toContainEqual(expect.objectContaining({ type: 'session_unopenable' }));
    }
    expect((await sessions.acquire(request('alice'), await observed('alice'))).ok).toBe(true);
  });

  it('R-42: removing a key ends the sessions it sealed, also those that were opened before', async () => {
    const ring = [...keys];
    const source = { ring };
    const rotating = manager(store, { sealer: createSealer(() => source.ring, 'session') });
    (await acquired(rotating.acquire(request(), await observed()))).release();
    const added = { id: 'new', secret: new Secret(randomBytes(32)) };
    source.ring = [added, ...ring];
    (await acquired(rotating.acquire(request(), await observed()))).release();
    source.ring = [added];
    expect(await rotating.acquire(request(), await observed())).toMatchObject({
      ok: false,
      code: 'session.unavailable',
    });
    (await acquired(rotating.acquire(request(), await observed()))).release();
    expect((await stored())?.sealed).toMatch(/^new\./);
  });
}

onMemory(suite);
onRedis(suite);
