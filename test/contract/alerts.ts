// Open incidents and silences, as every adapter of the board keeps them.
import { describe, expect, it } from 'vitest';
import type { Alert } from '../../src/alerts/alert.ts';
import { type AlertBoard, type Ended, MOST_INCIDENTS, MOST_SILENCES } from '../../src/alerts/board/board.ts';
import { about, alert } from '../support/alerts.ts';

const WINDOW = 60_000;
const START = 1_795_000_000_000;
let serial = 0;
/** Clients of a test of its own: the boards are shared by the tests of a file. */
const fresh = (code = 'replay.seen') => about(code, `client-${serial++}`);
const mine = (ended: readonly Ended[], { incident }: Alert) =>
  ended.filter((each) => each.incident.alert.incident === incident);
const silence = (codes: string, until: number, client: string | null = null) => ({
  ...{ codes, client, operator: 'on-call', reason: 'a drill', since: START, until },
});

export function alertContract(name: string, create: () => Promise<AlertBoard>): void {
  describe(`alerts: ${name}`, () => {
    it('R-63: the first alert opens an incident, later ones count, and a quiet window closes it', async () => {
      const board = await create();
      const one = fresh();
      const raise = (count: number, now: number) => board.raise('a', [{ alert: one, count, windowMs: WINDOW }], now);
      const [opened] = await raise(1, START);
      expect(opened).toMatchObject({ first: true, own: false, since: START, due: START + WINDOW });
      expect(await raise(5, START + 10)).toMatchObject([{ first: false, own: true, since: START, mark: opened?.mark }]);
      await board.delivered([{ incident: one.incident, mark: opened?.mark ?? '' }]);
      expect(await raise(1, START + 20)).toMatchObject([{ first: false, own: false }]);
      const ended = async (now: number) => mine(await board.ended('a', now), one);
      expect(await ended(START + WINDOW - 1)).toEqual([]);
      const first = await ended(START + WINDOW);
      expect(first).toMatchObject([
        { over: false, incident: { alert: one, count: 7, fresh: 6, last: START + 20, since: START, delivered: true } },
      ]);
      expect(await ended(START + WINDOW)).toEqual([]);
      // One that comes before it is told counts for the next window.
      await raise(1, START + WINDOW + 1);
      await board.told(first, START + WINDOW + 2);
      const second = await ended(START + 2 * WINDOW + 2);
      expect(second).toMatchObject([{ over: false, incident: { count: 8, fresh: 1 } }]);
      await board.told(second, START + 2 * WINDOW + 2);
      const third = await ended(START + 3 * WINDOW + 2);
      expect(third).toMatchObject([{ over: true, incident: { count: 8, fresh: 0 } }]);
      await board.told(third, START + 3 * WINDOW + 2);
      expect(await ended(START + 9 * WINDOW)).toEqual([]);
      const [again] = await raise(1, START + 9 * WINDOW);
      expect(again).toMatchObject({ first: true });
      expect(again?.mark).not.toBe(opened?.mark);
    });

    it('R-63: whoever takes the end of a window and dies leaves it to another one, after ten seconds', async () => {
      const board = await create();
      const one = fresh();
      await board.raise('a', [{ alert: one, count: 4, windowMs: WINDOW }], START);
      const taken = mine(await board.ended('a', START + WINDOW), one);
      expect(mine(await board.ended('a', START + WINDOW + 9_999), one)).toEqual([]);
      expect(mine(await board.ended('a', START + WINDOW + 10_000), one)).toEqual(
        taken.map(({ incident, ...rest }) => ({ ...rest, incident: { ...incident, due: START + WINDOW + 10_000 } })),
      );
    });

    it('R-63: an alert that comes while its incident is told to be over begins another one', async () => {
      const board = await create();
      const one = fresh();
      const raise = (now: number) => board.raise('b', [{ alert: one, count: 1, windowMs: WINDOW }], now);
      const [before] = await board.raise('a', [{ alert: one, count: 1, windowMs: WINDOW }], START);
      const taken = mine(await board.ended('a', START + WINDOW), one);
      expect(taken).toMatchObject([{ over: true }]);
      const [after] = await raise(START + WINDOW + 1);
      expect(after).toMatchObject({ first: true });
      expect(after?.mark).not.toBe(before?.mark);
      await board.told(taken, START + WINDOW + 2);
      expect(await raise(START + WINDOW + 3)).toMatchObject([{ first: false, own: true, mark: after?.mark }]);
    });

    it('R-63: one whose first alert is not delivered is left to the spool that has it, until that is gone', async () => {
      const board = await create();
      const one = fresh();
      await board.ended('owner', START);
      const [opened] = await board.raise('owner', [{ alert: one, count: 1, windowMs: WINDOW / 2 }], START);
      expect(mine(await board.ended('other', START + WINDOW / 2), one)).toEqual([]);
      expect(mine(await board.ended('owner', START + WINDOW / 2), one)).toMatchObject([
        { over: true, orphaned: false },
      ]);
      const two = fresh();
      await board.raise('owner', [{ alert: two, count: 1, windowMs: 1000 }], START + WINDOW);
      expect(mine(await board.ended('other', START + 3 * WINDOW), two)).toMatchObject([{ over: true, orphaned: true }]);
      // One that was delivered is told to be over by anybody, and a delivery of another one of the name is none of it.
      const three = fresh();
      const [third] = await board.raise('owner', [{ alert: three, count: 1, windowMs: 1000 }], START + 4 * WINDOW);
      await board.ended('owner', START + 4 * WINDOW);
      await board.delivered([{ incident: three.incident, mark: opened?.mark ?? '' }]);
      expect(mine(await board.ended('other', START + 4 * WINDOW + 1000), three)).toEqual([]);
      await board.delivered([{ incident: three.incident, mark: third?.mark ?? '' }]);
      expect(mine(await board.ended('other', START + 4 * WINDOW + 1000), three)).toMatchObject([
        { over: true, orphaned: false },
      ]);
    });

    it('R-63: a window that ends later than any can was written before the clock went back, and has ended', async () => {
      const board = await create();
      const one = fresh();
      await board.raise('a', [{ alert: one, count: 1, windowMs: WINDOW }], START + 50 * 3_600_000);
      expect(mine(await board.ended('a', START), one)).toMatchObject([{ over: true }]);
    });

    it('R-63: of many that raise the same at the same time one is the first, and one is given the end of the window', async () => {
      const board = await create();
      const one = fresh();
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          board.raise(`spool-${i}`, [{ alert: one, count: 1, windowMs: WINDOW }], START),
        ),
      );
      expect(answers.flat().filter(({ first }) => first)).toHaveLength(1);
      const ends = await Promise.all(Array.from({ length: 10 }, () => board.ended('a', START + WINDOW)));
      expect(ends.flat().filter(({ incident }) => incident.alert.incident === one.incident)).toMatchObject([
        { incident: { count: 20, fresh: 19 } },
      ]);
    });

    it('R-63: to ask without counting opens what is not open and changes nothing that is', async () => {
      const board = await create();
      const one = fresh();
      const ask = () => board.raise('a', [{ alert: one, count: 0, windowMs: WINDOW }], START);
      expect(await ask()).toMatchObject([{ first: true }]);
      expect(await ask()).toMatchObject([{ first: false, own: true }]);
      expect((await board.list()).find(({ alert: { incident } }) => incident === one.incident)).toMatchObject({
        ...{ count: 1, fresh: 0, by: 'a' },
      });
    });

    it('R-64: a lasting one is not over before it is said to be', async () => {
      const board = await create();
      const one = alert('log.failing', { client: null, params: { log: `log-${serial++}` } });
      expect(one.lasts).toBe(true);
      await board.raise('a', [{ alert: one, count: 1, windowMs: WINDOW }], START);
      for (let i = 1; i < 4; i++) {
        const ended = mine(await board.ended('a', START + i * WINDOW), one);
        expect(ended).toMatchObject([{ over: false, incident: { fresh: 0 } }]);
        await board.told(ended, START + i * WINDOW);
      }
      await board.resolve([one.incident, 'no such']);
      const over = mine(await board.ended('a', START + 3 * WINDOW + 1), one);
      expect(over).toMatchObject([{ over: true, incident: { alert: one } }]);
      await board.told(over, START + 3 * WINDOW + 1);
      await board.resolve([one.incident]);
      expect(mine(await board.ended('a', START + 9 * WINDOW), one)).toEqual([]);
    });

    it('R-63: an alert comes back as it was given, with empty lists, large numbers and any text', async () => {
      const board = await create();
      const one = about('replay.seen', `"\u2028 é ${serial++}`);
      const odd = { ...one, params: { id: 9007199254740991, text: '\n"\\', nothing: null } };
      await board.raise('a', [{ alert: odd, count: 1, windowMs: WINDOW }], START);
      const by = { operator: 'on-call', reason: 'mine', at: START + 9007 };
      expect(await board.acknowledge(one.incident, by)).toMatchObject({ alert: odd, acknowledged: by });
      await board.raise('b', [{ alert: odd, count: 3, windowMs: WINDOW }], START + 1);
      const [found] = (await board.list()).filter(({ alert: { incident } }) => incident === one.incident);
      expect(found).toMatchObject({ alert: odd, acknowledged: by, count: 4, by: 'a' });
      expect(await board.acknowledge('f'.repeat(32), by)).toBeUndefined();
    });

    it('R-63: a silence holds until its end, one of the same name takes its place, and one that is over ends it', async () => {
      const board = await create();
      await board.silence(silence('replay.*', START + 1000));
      await board.silence(silence('replay.*', START + 5000, 'agent'));
      await board.silence(silence('replay.*', START + 2000));
      const names = async (now: number) =>
        (await board.silences(now)).map(({ client, until }) => [client, until - START]);
      expect((await names(START)).sort()).toEqual(
        [
          ['agent', 5000],
          [null, 2000],
        ].sort(),
      );
      expect(await names(START + 2000)).toEqual([['agent', 5000]]);
      await board.silence(silence('replay.*', 0, 'agent'));
      expect(await names(START)).toEqual([]);
    });

    it('R-63: beyond the most silences one more is refused, and one of a known name is not', async () => {
      const board = await create();
      const of = (i: number) => silence(`x.y${i}`, START + 9000 + i);
      for (let i = (await board.silences(START)).length; i < MOST_SILENCES; i++)
        expect(await board.silence(of(i))).toBe(true);
      expect(await board.silence(silence('one.more', START + 1))).toBe(false);
      expect(await board.silence({ ...of(MOST_SILENCES - 1), until: 0 })).toBe(true);
      await board.silences(START);
      expect(await board.silence(silence('one.more', START + 1))).toBe(true);
    });

    it('R-63: beyond the most incidents the one that ends first is told to be over, and no state is', async () => {
      const board = await create();
      const state = alert('log.failing', { client: null, params: { log: `log-${serial++}` } });
      await board.raise('a', [{ alert: state, count: 1, windowMs: WINDOW }], START - 9);
      const early = fresh();
      await board.raise('a', [{ alert: early, count: 1, windowMs: WINDOW }], START - 8);
      for (let i = 0; i < MOST_INCIDENTS; i += 500) {
        const many = Array.from({ length: 500 }, () => ({ alert: fresh(), count: 1, windowMs: WINDOW }));
        await board.raise('a', many, START);
      }
      const ended = await board.ended('a', START);
      expect(mine(ended, early)).toMatchObject([{ over: true }]);
      expect(mine(ended, state)).toEqual([]);
      expect((await board.list()).length).toBeLessThanOrEqual(MOST_INCIDENTS);
      expect((await board.list()).some(({ alert: { incident } }) => incident === state.incident)).toBe(true);
    }, 60_000);
  });
}
