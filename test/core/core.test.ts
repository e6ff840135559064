import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createSystemClock } from '../../src/core/clock.ts';
import { createKeyedMutex } from '../../src/core/mutex.ts';
import { Secret } from '../../src/core/secret.ts';
import { createZoneClock, isTimeZone } from '../../src/core/zones.ts';
import { atPointer, nestsDeeperThan } from '../../src/formats/json.ts';

describe('R-44: a secret', () => {
  it('prints [redacted] wherever it is turned into text', () => {
    const secret = new Secret('hunter2');
    const error = new Error('x', { cause: secret });
    for (const text of [
      `${secret}`,
      String(secret),
      JSON.stringify({ secret }),
      inspect({ a: { secret } }, { depth: 9, showHidden: true }),
      inspect(error),
      `${secret}x`,
      secret.toString(),
      JSON.stringify(Object.entries(secret)),
      inspect(new Map([[secret, secret]])),
    ]) {
      expect(text).not.toContain('hunter2');
    }
    expect(secret.reveal()).toBe('hunter2');
  });
});

describe('R-21: server time', () => {
  afterEach(() => vi.restoreAllMocks());
  it('does not go back when the machine clock is stepped back, and follows it forward', () => {
    const wall = vi.spyOn(Date, 'now');
    const mono = vi.spyOn(performance, 'now');
    wall.mockReturnValue(1_000_000);
    mono.mockReturnValue(0);
    const clock = createSystemClock();
    wall.mockReturnValue(1_000_000 - 3_600_000);
    mono.mockReturnValue(60_000);
    expect(clock.now()).toBe(1_060_000);
    wall.mockReturnValue(9_000_000);
    expect(clock.now()).toBe(9_000_000);
  });
});

describe('JSON', () => {
  it('a pointer names own properties only', () => {
    expect(atPointer({ a: [{ 'b/c': 1 }] }, '/a/0/b~1c')).toBe(1);
    for (const pointer of ['/__proto__', '/constructor/name', '/a/length/x', '/x/y'])
      expect(atPointer({ a: [] }, pointer)).toBeUndefined();
  });
  it('nesting is measured without descending past the limit', () => {
    let deep: unknown = 0;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(nestsDeeperThan(deep, 32)).toBe(true);
    expect(nestsDeeperThan({ a: [{ b: 1 }] }, 3)).toBe(false);
    expect(nestsDeeperThan({ a: [{ b: 1 }] }, 2)).toBe(true);
  });
});

it('the keyed mutex runs the tasks of one key one at a time and in order, also after a failure', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.boolean()), { maxLength: 30 }), async (jobs) => {
      const mutex = createKeyedMutex();
      const running = new Map<string, number>();
      const order: Record<string, number[]> = { a: [], b: [] };
      await Promise.allSettled(
        jobs.map(([key, fails], i) =>
          mutex.run(key, async () => {
            running.set(key, (running.get(key) ?? 0) + 1);
            expect(running.get(key)).toBe(1);
            await Promise.resolve();
            order[key]?.push(i);
            running.set(key, 0);
            if (fails) throw new Error('job');
          }),
        ),
      );
      for (const list of Object.values(order)) expect(list).toEqual([...list].sort((x, y) => x - y));
      expect(order.a?.length).toBe(jobs.filter(([key]) => key === 'a').length);
    }),
  );
});

describe('R-36: local time of a zone', () => {
  const berlin = createZoneClock(['Europe/Berlin', 'Asia/Kolkata', 'America/St_Johns']);
  const at = (iso: string) => berlin(Date.parse(iso));

  it('knows summer time, half hours, and a date that is another one there', () => {
    expect(at('2026-03-29T00:59:59Z')['Europe/Berlin']).toEqual({
      date: '2026-03-29',
      weekday: 'sunday',
      hour: 1,
      minute: 59,
    });
    expect(at('2026-03-29T01:00:00Z')['Europe/Berlin']).toEqual({
      date: '2026-03-29',
      weekday: 'sunday',
      hour: 3,
      minute: 0,
    });
    expect(at('2026-10-25T00:30:00Z')['Europe/Berlin']).toMatchObject({ hour: 2, minute: 30 });
    expect(at('2026-10-25T01:30:00Z')['Europe/Berlin']).toMatchObject({ hour: 2, minute: 30 });
    expect(at('2026-12-31T20:00:00Z')['Asia/Kolkata']).toEqual({
      date: '2027-01-01',
      weekday: 'friday',
      hour: 1,
      minute: 30,
    });
    expect(at('2026-07-01T00:10:00Z')['America/St_Johns']).toMatchObject({ date: '2026-06-30', hour: 21, minute: 40 });
    expect(at('2026-07-01T22:00:00Z')['Europe/Berlin']).toMatchObject({ date: '2026-07-02', hour: 0, minute: 0 });
  });

  it('is the same for every instant of a minute, whatever was asked before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), (now) => {
        expect(berlin(now)).toEqual(
          createZoneClock(['Europe/Berlin', 'Asia/Kolkata', 'America/St_Johns'])(Math.floor(now / 60_000) * 60_000),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('takes names that the runtime knows and nothing else', () => {
    expect(['Europe/Berlin', 'UTC', 'Etc/GMT+5'].map(isTimeZone)).toEqual([true, true, true]);
    expect(['Europe/Berlim', '', '../etc', 'UTC ', 'x'.repeat(100)].map(isTimeZone)).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
