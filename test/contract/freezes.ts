// Freezes and thaws, as every adapter of the store keeps them.
import { describe, expect, it } from 'vitest';
import { FREEZE_LIFE_MS, type FreezeRow, isInForce, MOST_FREEZES } from '../../src/freeze/freeze.ts';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';

const row = (tool: string, more: Partial<FreezeRow> = {}) => ({
  ...{ selector: { tool }, active: true, operator: 'on-call', reason: 'why', until: null },
  ...more,
});

export function freezeContract(name: string, create: (clock: TestClock) => Promise<Store>): void {
  describe(`freezes: ${name}`, () => {
    it('R-73: the newest row of a selector holds, a thaw is a row, and each number is larger than the one before', async () => {
      const clock = createTestClock();
      const { control } = await create(clock);
      await control.freeze(row('a'));
      // The store's clock may be up to a minute ahead, from a test before this one.
      await control.freeze(row('b', { until: clock.now() + 120_000 }));
      const first = await control.read(0);
      expect(first.freezes.get('tool:a')).toMatchObject({ ...row('a'), number: expect.any(Number) });
      await control.freeze(row('a', { active: false, operator: 'admin' }));
      const second = await control.read(0);
      expect(second.freezes.get('tool:a')).toMatchObject({ active: false, operator: 'admin' });
      const numbers = [first.freezes.get('tool:a'), first.freezes.get('tool:b'), second.freezes.get('tool:a')].map(
        (each) => each?.number ?? 0,
      );
      expect([...numbers].sort((x, y) => x - y)).toEqual(numbers);
      expect(numbers[0]).toBeGreaterThanOrEqual(clock.now());
      const inForce = [...second.freezes].filter(([, each]) => isInForce(each, second.now));
      expect(inForce.map(([text]) => text)).toEqual(['tool:b']);
      clock.advance(200);
      const third = await control.read(0);
      expect([...third.freezes.values()].some((each) => isInForce(each, third.now))).toBe(false);
    });

    it('R-73: of a row that is given back and one that is there the higher number holds, and the next is above both', async () => {
      const clock = createTestClock();
      const { control } = await create(clock);
      await control.freeze(row('a'));
      const known = (await control.read(0)).freezes;
      const number = known.get('tool:a')?.number ?? 0;
      await control.freeze(row('a', { active: false }));
      await control.restoreFreezes(known);
      expect((await control.read(0)).freezes.get('tool:a')?.active).toBe(false);
      await control.restoreFreezes(new Map([['tool:a', { ...row('a'), number: number + 50_000 }]]));
      expect((await control.read(0)).freezes.get('tool:a')).toMatchObject({ active: true, number: number + 50_000 });
      await control.freeze(row('a', { active: false }));
      expect((await control.read(0)).freezes.get('tool:a')).toMatchObject({ active: false, number: number + 50_001 });
    });

    it('R-73: a name may be any text, and a revocation of all leaves freezes as they are', async () => {
      const clock = createTestClock();
      const { control } = await create(clock);
      const odd = 'a:b "c" \n } revoked:all \u00e9';
      await control.freeze({ ...row('x'), selector: { client: odd, issuer: 'https://i.example' } });
      await control.revoke({ all: true });
      const [[text, kept] = []] = [...(await control.read(0)).freezes];
      expect(text).toBe(`client-of:${JSON.stringify(['https://i.example', odd])}`);
      expect(kept?.selector).toEqual({ client: odd, issuer: 'https://i.example' });
    });

    it('R-73: no more are in force than fit, everything can always be frozen, and what has ended takes no room', async () => {
      const clock = createTestClock();
      const { control } = await create(clock);
      const old = clock.now() - FREEZE_LIFE_MS - 1000;
      const rows = Array.from({ length: MOST_FREEZES }, (_, i): [string, FreezeRow] => [
        `tool:t${i}`,
        { ...row(`t${i}`), number: clock.now() },
      ]);
      await control.restoreFreezes(new Map(rows));
      await control.read(0);
      await expect(control.freeze(row('one-more'))).rejects.toThrow(/1000 freezes already/);
      await control.freeze({ ...row(''), selector: { all: true } });
      await control.freeze({ ...row(''), selector: { all: true }, active: false });
      await control.freeze(row('t7', { active: false }));
      await control.read(0);
      await control.freeze(row('one-more'));
      const { control: second } = await create(clock);
      const ended = Array.from({ length: 1200 }, (_, i): [string, FreezeRow] => [
        `tool:e${i}`,
        { ...row(`e${i}`, { until: clock.now() - 10 }), number: clock.now() - 20 },
      ]);
      await second.restoreFreezes(
        new Map([
          ...ended,
          ['tool:gone', { ...row('gone', { active: false }), number: old }],
          ['tool:long-over', { ...row('long-over', { until: clock.now() - 90_000_000 }), number: old }],
        ]),
      );
      await second.read(0);
      await second.freeze(row('t7'));
      await second.freeze(row('t7', { active: false }));
      const { freezes } = await second.read(0);
      expect([freezes.has('tool:gone'), freezes.has('tool:long-over'), freezes.has('tool:e7')]).toEqual([
        false,
        false,
        true,
      ]);
    });
  });
}
