import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BoundedMap, StoreFullError } from '../../src/store/memory/bounded-map.ts';

it('R-29: a full map refuses what is new, keeps what is live, and takes it as soon as something has expired', () => {
  let now = 0;
  const map = new BoundedMap<{ expires: number }>(3, () => now);
  for (const [key, expires] of [
    ['a', 5000],
    ['b', 1000],
    ['c', 9000],
  ] as const)
    map.set(key, { expires });
  expect(() => map.set('d', { expires: 9000 })).toThrow(StoreFullError);
  map.set('b', { expires: 6000 });
  now = 2000;
  expect(() => map.set('d', { expires: 9000 })).toThrow(StoreFullError);
  now = 5000;
  map.set('d', { expires: 9000 });
  expect([...map.keys()].sort()).toEqual(['b', 'c', 'd']);
});

it('whatever is set, deleted and expires, no live entry is lost and none that expired takes a place for long', () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    life: fc.option(fc.nat(20_000)),
    pass: fc.nat(3000),
    drop: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 1_000_000;
      const map = new BoundedMap<{ expires: number | null }>(4, () => now);
      const model = new Map<string, number>();
      for (const { key, life, pass, drop } of steps) {
        now += pass;
        const expires = life === null ? Number.POSITIVE_INFINITY : now + life;
        if (drop) {
          map.delete(key);
          model.delete(key);
          continue;
        }
        // A second is how exactly it is known when an entry ends.
        const surely = [...model.values()].filter((until) => Math.ceil(until / 1000) * 1000 > now).length;
        const live = [...model.values()].filter((until) => until > now).length;
        try {
          map.set(key, { expires: life === null ? null : expires });
          expect(live < 4 || model.has(key)).toBe(true);
          model.set(key, expires);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(StoreFullError);
          expect(surely).toBe(4);
        }
        for (const [name, until] of model) if (until > now) expect(map.has(name)).toBe(true);
        for (const name of model.keys()) if (!map.has(name)) model.delete(name);
      }
    }),
  );
});
