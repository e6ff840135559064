// The contract of what backends are spared, over all replicas.
import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';

const MANY = { most: 1000, withinMs: 60_000 };

export function quotasContract(name: string, create: (clock: TestClock) => Promise<Store>): void {
  const start = async () => {
    const clock = createTestClock();
    return { clock, quotas: (await create(clock)).quotas };
  };

  describe(`R-55: quotas of backends: ${name}`, () => {
    it('of many calls at once no more than the limit get a place, and each gives its own back', async () => {
      const { quotas } = await start();
      const ids = Array.from({ length: 20 }, (_, i) => `call-${i}`);
      const taken = await Promise.all(ids.map((id) => quotas.enter('b', id, 3, 10_000)));
      expect(taken.filter(Boolean)).toHaveLength(3);
      const [mine = ''] = ids.filter((_, i) => taken[i]);
      // Whoever has a place keeps it, however low the limit is by now; another backend has places of its own.
      expect(await quotas.enter('b', mine, 1, 10_000)).toBe(true);
      expect(await quotas.enter('other', 'x', 1, 10_000)).toBe(true);
      await quotas.leave('b', 'nobody');
      expect(await quotas.enter('b', 'late', 3, 10_000)).toBe(false);
      await quotas.leave('b', mine);
      expect(await quotas.enter('b', 'late', 3, 10_000)).toBe(true);
    });

    it('R-84: a place that nobody asks for again is free when its lease is over', async () => {
      const { clock, quotas } = await start();
      expect(await quotas.enter('b', 'dies', 1, 10_000)).toBe(true);
      clock.advance(9);
      expect(await quotas.enter('b', 'next', 1, 10_000)).toBe(false);
      expect(await quotas.enter('b', 'dies', 1, 10_000)).toBe(true);
      clock.advance(9);
      expect(await quotas.enter('b', 'next', 1, 10_000)).toBe(false);
      clock.advance(2);
      expect(await quotas.enter('b', 'next', 1, 10_000)).toBe(true);
    });

    it('logins of a minute are counted over all accounts, and the wait is said', async () => {
      const { clock, quotas } = await start();
      const quota = { perMinute: 3, failures: MANY };
      const all = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((account) => quotas.login('b', account, quota)));
      expect(all.filter((ms) => ms === 0)).toHaveLength(3);
      clock.advance(20);
      const ms = await quotas.login('b', 'f', quota);
      expect(ms).toBeGreaterThan(38_000);
      expect(ms).toBeLessThanOrEqual(40_000);
      expect(await quotas.login('other', 'f', quota)).toBe(0);
      clock.advance(41);
      expect(await quotas.login('b', 'f', quota)).toBe(0);
    });

    it('failed logins are those of one account, until one is good or their time is over', async () => {
      const { clock, quotas } = await start();
      const quota = { perMinute: undefined, failures: { most: 2, withinMs: 60_000 } };
      for (let i = 0; i < 2; i++) {
        expect(await quotas.login('b', 'locked', quota)).toBe(0);
        await quotas.answered('b', 'locked', false, quota);
        clock.advance(10);
      }
      expect(await quotas.login('b', 'locked', quota)).toBeGreaterThan(39_000);
      expect(await quotas.login('b', 'other', quota)).toBe(0);
      expect(await quotas.login('other', 'locked', quota)).toBe(0);
      // More failures than the limit, as of logins that had begun before: the newest of them count.
      await quotas.answered('b', 'locked', false, quota);
      clock.advance(41);
      expect(await quotas.login('b', 'locked', quota)).toBeGreaterThan(0);
      clock.advance(10);
      expect(await quotas.login('b', 'locked', quota)).toBe(0);
      for (let i = 0; i < 3; i++) await quotas.answered('b', 'locked', false, quota);
      await quotas.answered('b', 'locked', true, quota);
      expect(await quotas.login('b', 'locked', quota)).toBe(0);
    });
  });
}
