import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFairQueue } from '../../src/alerts/spool/fair-queue.ts';

interface Item {
  kind: string;
  who: string;
  n: number;
}

describe('R-63: the order in which alerts go out', () => {
  it('behind 10,000 of other clients, or of another kind, the next one about somebody else is among the first three', () => {
    for (const last of [
      { kind: 'a', who: 'victim' },
      { kind: 'b', who: 'client-7' },
    ]) {
      const queue = createFairQueue<Item>();
      for (let n = 0; n < 10_000; n++) queue.add({ kind: 'a', who: `client-${n}`, n });
      for (let n = 0; n < 50; n++) queue.take();
      queue.add({ ...last, n: -1 });
      expect([queue.take(), queue.take(), queue.take()].map((item) => item?.n)).toContain(-1);
    }
  });

  it('behind 10,000 of one client, one of another client is second at most', () => {
    const queue = createFairQueue<Item>();
    for (let n = 0; n < 10_000; n++) queue.add({ kind: 'a', who: 'noise', n });
    queue.take();
    queue.add({ kind: 'a', who: 'victim', n: -1 });
    expect([queue.take(), queue.take()].map((item) => item?.who)).toContain('victim');
  });

  it('all that is added comes out once, those of one client in their order, also where some are dropped', () => {
    const actions = fc.array(
      fc.oneof(
        fc.record({ add: fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y', 'z')) }),
        fc.constant('take' as const),
        fc.constant('drop' as const),
      ),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(actions, (steps) => {
        const queue = createFairQueue<Item>();
        const [inside, out] = [new Set<number>(), [] as Item[]];
        let n = 0;
        for (const step of steps) {
          if (typeof step === 'object') {
            queue.add({ kind: step.add[0], who: step.add[1], n });
            inside.add(n++);
            continue;
          }
          const fullest = queue.fullest();
          const item = step === 'take' ? queue.take() : fullest && queue.dropFrom(fullest.kind);
          expect(item === undefined).toBe(inside.size === 0);
          if (item) expect(inside.delete(item.n)).toBe(true);
          if (item && step === 'take') out.push(item);
          expect(queue.size).toBe(inside.size);
        }
        for (let item = queue.take(); item; item = queue.take()) {
          expect(inside.delete(item.n)).toBe(true);
          out.push(item);
        }
        expect(inside.size).toBe(0);
        for (const name of ['a x', 'a y', 'b z', 'c x']) {
          const own = out.filter(({ kind, who }) => `${kind} ${who}` === name).map((item) => item.n);
          expect(own).toEqual([...own].sort((a, b) => a - b));
        }
      }),
    );
  });
});
