// The packed forms of what is remembered of a client, each against the plain one that it stands for.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { UsedIntegers } from '../../src/facts/used-integers.ts';
import { count, createWindow } from '../../src/facts/window.ts';

const PLACES = 16;

it('R-17: integers that are packed are remembered like those in a table with a place for each remainder', () => {
  const id = fc.oneof(
    fc.nat(40),
    fc.nat(2 ** 20),
    fc.integer({ min: 2 ** 32 - 20, max: 2 ** 32 + 20 }),
    fc.maxSafeInteger().map(Math.abs),
  );
  const uses = fc.array(fc.tuple(id, fc.nat(5_000_000_000), fc.constantFrom('a/24', 'b/24', 'c/64')), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(uses, fc.array(id, { maxLength: 20 }), (used, asked) => {
      const packed = new UsedIntegers(PLACES);
      const plain = new Map<number, { id: number; at: number; network: string }>();
      const began = used[0]?.[1] ?? 0;
      for (const [n, at, network] of used) {
        packed.set(n, { at, network });
        plain.set(n % PLACES, { id: n, at, network });
      }
      for (const n of [...asked, ...used.map(([each]) => each)]) {
        const held = plain.get(n % PLACES);
        const expected =
          held?.id === n
            ? { at: began + Math.min(Math.max(held.at - began, 0), 2 ** 32 - 2), network: held.network }
            : undefined;
        expect(packed.get(n)).toEqual(expected);
      }
    }),
    { numRuns: 2000 },
  );
});

it('R-12: the network of a use is right after more networks than there are numbers for', () => {
  const packed = new UsedIntegers(PLACES);
  for (let i = 0; i < 10_000; i++) packed.set(i, { at: i, network: `n${i}` });
  for (let i = 10_000 - PLACES; i < 10_000; i++) expect(packed.get(i)).toEqual({ at: i, network: `n${i}` });
});

it('R-30: a window counts what is in its slots, however the clock goes', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: -3, max: 90 }), fc.nat(3)), { maxLength: 80 });
  fc.assert(
    fc.property(steps, (all) => {
      const window = createWindow();
      const events: { slot: number; n: number }[] = [];
      let [now, newest] = [100_000, 0];
      for (const [seconds, n] of all) {
        now += seconds * 500;
        newest = Math.max(newest, Math.floor(now / 1000));
        events.push({ slot: newest, n });
        const inside = events.filter(({ slot }) => slot > newest - 60);
        expect(count(window, 1000, now, n)).toBe(inside.reduce((sum, each) => sum + each.n, 0));
      }
    }),
    { numRuns: 2000 },
  );
});
