// Open incidents and silences, as every adapter of the board keeps them.
import { describe, expect, it } from 'vitest';
import type { AlertBoard } from '../../src/alerts/board/board.ts';
import { about, alert } from '../support/alerts.ts';

const WINDOW = 60_000;
const START = 1_795_000_000_000;
let serial = 0;
/** Clients of a test of its own: the boards are shared by the tests of a file. */
const fresh = (code = 'replay.seen') => about(code, `client-${serial++}`);
const silence = (codes: string, until: number, client: string | null = null) => ({
  ...{ codes, client, operator: 'on-call', reason: 'a drill', since: START, until },
});

export function alertContract(name: string, create: () => Promise<AlertBoard>): void {
  describe(`alerts: ${name}`, () => {
    it('R-63: the first alert opens an incident, later ones count, and a quiet window closes it', async () => {
      const board = await create();
      const one = fresh();
      const raise = (count: number, now: number) => board.raise('a', [{ alert: one, count, windowMs: WINDOW }], now);
      expect(await raise(1, START)).toEqual([{ first: true, own: false, since: START, due: START + WINDOW }]);
      expect(await raise(5, START + 10)).toMatchObject([{ first: false, own: true, since: START }]);
      await board.delivered([one.incident]);
      expect(await raise(1, START + 20)).toMatchObject([{ first: false, own: false }]);
      const mine = (ended: Awaited<ReturnType<AlertBoard['ended']>>) =>
        ended.filter(({ incident }) => incident.alert.incident === one.incident);
      expect(mine(await board.ended(START + WINDOW - 1))).toEqual([]);
      expect(mine(await board.ended(START + WINDOW))).toMatchObject([
        { over: false, incident: { alert: one, count: 7, fresh: 6, last: START + 20, since: START, delivered: true } },
      ]);
      expect(mine(await board.ended(START + WINDOW))).toEqual([]);
      expect(mine(await board.ended(START + 2 * WINDOW))).toMatchObject([
        { over: true, incident: { count: 7, fresh: 0 } },
      ]);
      expect(await raise(1, START + 3 * WINDOW)).toMatchObject([{ first: true }]);
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
      const ends = await Promise.all(Array.from({ length: 10 }, () => board.ended(START + WINDOW)));
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
      for (let i = 1; i < 4; i++)
        expect(
          (await board.ended(START + i * WINDOW)).some(({ incident }) => incident.alert.incident === one.incident),
        ).toBe(false);
      expect(await board.resolve([one.incident, 'no such'])).toMatchObject([{ alert: one }]);
      expect(await board.resolve([one.incident])).toEqual([]);
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
  });
}
