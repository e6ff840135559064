// What is told of an incident, over failures of receivers, of the store and of replicas. Real dispatch, spool, couriers and boards;
// the receiver is the test's own.
import { describe, expect, it } from 'vitest';
import type { AlertBoard } from '../../src/alerts/board/board.ts';
import { createMemoryBoard } from '../../src/alerts/board/memory.ts';
import { createSharedBoard } from '../../src/alerts/board/shared.ts';
import { alertRecord } from '../support/alerts.ts';
import { createTestClock } from '../support/clock.ts';
import { replica } from '../support/dispatching.ts';
import { until } from '../support/harness.ts';

const state = alertRecord('clock.skew', { client: null });
const over = { reasons: ['clock.skew'] };

describe('R-63: what is told of an incident', () => {
  it('a state that fails again within one window is told again, under another id; one that flickers is told once', async () => {
    const at = replica();
    await at.dispatch.start();
    for (let i = 0; i < 3; i++) {
      at.clock.advance(1);
      at.dispatch.raised(state);
      await until(() => at.events().length === 2 * i + 1, 'it to be told');
      at.dispatch.resolved(over);
      await until(() => at.events().length === 2 * i + 2, 'its end');
    }
    await at.has('triggered', 'resolved', 'triggered', 'resolved', 'triggered', 'resolved');
    expect(new Set(at.told.map(({ id }) => id)).size).toBe(6);
    expect(new Set(at.told.map(({ occurrence }) => occurrence)).size).toBe(3);
    at.told.length = 0;
    at.clock.advance(1);
    for (let i = 0; i < 20; i++) {
      at.dispatch.raised(state);
      at.dispatch.resolved(over);
      at.dispatch.raised(state);
    }
    await at.quiet();
    expect(at.events()).toEqual(['triggered']);
  });

  it('its end never overtakes its beginning, however often that fails', async () => {
    const at = replica();
    await at.dispatch.start();
    at.state.fails = 4;
    at.dispatch.raised(alertRecord('replay.seen'));
    await until(() => (at.couriers[0]?.state.failures ?? 0) > 0, 'the first attempt');
    at.clock.advance(300);
    await at.has('triggered', 'resolved');
  });

  it('a state that is found while the process starts is not taken for one that was mended before', async () => {
    const before = replica();
    await before.dispatch.start();
    before.dispatch.raised(state);
    await before.has('triggered');
    await before.stop();
    const after = replica({ ...before, board: before.board });
    after.dispatch.raised(state);
    await after.dispatch.start();
    await after.quiet();
    expect(after.events().filter((event) => event === 'resolved')).toEqual([]);
    await after.stop();
    // And one that nobody finds again is over.
    const last = replica({ ...before, board: before.board });
    await last.dispatch.start();
    await until(() => last.events().at(-1) === 'resolved', 'its end');
  });

  it('a process that dies right after it has told of an incident tells its end when it starts again', async () => {
    const before = replica();
    await before.dispatch.start();
    before.dispatch.raised(alertRecord('replay.seen'));
    await before.has('triggered');
    await new Promise(setImmediate);
    // The board was not written down, so that nobody knows of the incident.
    const after = replica({ dir: before.dir });
    await after.dispatch.start();
    await after.has('triggered', 'resolved');
    expect(after.told[0]?.id).toBe(before.told[0]?.id);
    expect(after.told[1]?.occurrence).toBe(before.told[0]?.occurrence);
  });

  it('an alert at the very end of a window is counted or told, never lost', async () => {
    const at = replica();
    await at.dispatch.start();
    at.dispatch.raised(alertRecord('replay.seen'));
    await at.has('triggered');
    const { board } = at;
    const ended = board.ended.bind(board);
    board.ended = async (by, now) => {
      const found = await ended(by, now);
      if (found.length > 0) at.dispatch.raised(alertRecord('replay.seen'));
      return found;
    };
    at.clock.advance(299);
    at.dispatch.raised(alertRecord('replay.seen'));
    at.clock.advance(1);
    await until(() => at.events().includes('repeated'), 'the end of the window');
    at.clock.advance(300);
    await until(
      () => at.told.reduce((sum, { event, count }) => sum + (event === 'resolved' ? 0 : count), 0) >= 3,
      'all three',
    );
  });
});

describe('R-63: silences', () => {
  const silence = (codes: string, untilTime: number) => ({
    ...{ codes, client: null, operator: 'o', reason: 'r', since: 0, until: untilTime },
  });

  it('what ends within a silence is told to nobody, what goes on is told when it ends, and ends told before are told', async () => {
    const at = replica();
    await at.dispatch.start();
    at.dispatch.raised(state);
    await at.has('triggered');
    await at.dispatch.silence(silence('*', at.clock.now() + 60_000));
    at.dispatch.resolved(over);
    await at.has('triggered', 'resolved');
    at.dispatch.raised(alertRecord('log.failing', { client: null, params: { log: 'a' } }));
    at.dispatch.raised(alertRecord('log.failing', { client: null, params: { log: 'b' } }));
    await until(async () => (await at.dispatch.incidents()).length === 2, 'both to be open');
    at.dispatch.resolved({ reasons: ['log.failing'], params: { log: 'a' } });
    await at.quiet();
    expect(at.events()).toEqual(['triggered', 'resolved']);
    at.clock.advance(60);
    await at.has('triggered', 'resolved', 'triggered');
    expect(at.told[2]?.alert.params).toEqual({ log: 'b' });
  });

  it('one that is longer than the one before it holds, and quiet hours hold when it ends', async () => {
    // It is nine in the morning, and night in the quiet hours of this test.
    const nights = { from: '08:00', to: '12:00', zone: 'UTC', up_to: 'high' as const };
    const settings = {
      quiet_hours: { nights },
      routes: [
        { codes: ['replay.*'], at_least: 'low' as const, to: ['*'] },
        { codes: ['clock.*'], at_least: 'low' as const, to: ['*'], quiet: ['nights'] },
      ],
    };
    const at = replica({ settings });
    await at.dispatch.start();
    await at.dispatch.silence(silence('*', at.clock.now() + 60_000));
    at.dispatch.raised(state);
    at.dispatch.raised(alertRecord('replay.seen'));
    await until(async () => (await at.dispatch.incidents()).length === 2, 'both to be open');
    await at.dispatch.silence(silence('*', at.clock.now() + 120_000));
    at.clock.advance(61);
    await at.quiet();
    expect(at.events()).toEqual([]);
    at.clock.advance(60);
    await until(() => at.told.length > 0, 'the end of the silence');
    await at.quiet();
    expect(at.told.map(({ alert }) => alert.code)).toEqual(['replay.seen']);
    at.clock.advance(3 * 3600);
    await until(() => at.told.some(({ alert }) => alert.code === 'clock.skew'), 'the end of the quiet hours');
  });

  it('holds from the first alert after a start', async () => {
    const board = createMemoryBoard(true);
    const at = replica({ board });
    await board.silence(silence('*', at.clock.now() + 60_000));
    at.dispatch.raised(state);
    await at.dispatch.start();
    await at.quiet();
    expect(at.events()).toEqual([]);
  });

  it('each is an incident of its own, so that none is hidden behind another', async () => {
    const at = replica();
    await at.dispatch.start();
    for (const codes of ['low.*', '*'])
      at.dispatch.raised(
        alertRecord('alerts.silenced', { client: null, params: { codes, until: 'then', operator: 'o' } }),
      );
    await at.has('triggered', 'triggered');
  });
});

describe('R-63: receivers', () => {
  it('a parameter of a rule hides no alert from a receiver of that name; only one that fails is not told of its failure', async () => {
    const at = replica({ names: ['pager'] });
    await at.dispatch.start();
    at.dispatch.raised(alertRecord('payment.suspicious', { params: { receiver: 'pager' } }));
    at.dispatch.raised(alertRecord('alerts.dropped', { client: null, params: { receiver: 'pager' } }));
    await at.has('triggered', 'triggered');
    at.dispatch.raised(alertRecord('alerts.receiver_failing', { client: null, params: { receiver: 'pager' } }));
    await at.quiet();
    expect(at.told).toHaveLength(2);
  });

  it('R-64: beyond the bound the most frequent kind gives way, and that of others stays', async () => {
    const at = replica({ mostBytes: 300_000 });
    await at.dispatch.start();
    at.state.down = true;
    at.dispatch.raised(alertRecord('binding.key_changed'));
    for (let i = 0; i < 2000; i++)
      at.dispatch.raised(alertRecord('replay.seen', { client: { id: `c${i}`, subject: 's', issuer: 'i' } }));
    await until(() => at.state.dropped > 1000, 'some to be dropped');
    expect(at.spool.waitingBytes).toBeLessThanOrEqual(300_000);
    at.state.down = false;
    await until(() => at.told.some(({ alert }) => alert.code === 'binding.key_changed'), 'the other kind');
    await until(() => at.couriers[0]?.state.waiting === 0, 'the rest');
    expect(at.told.length + at.state.dropped).toBe(2001);
  });
});

describe('R-63: under load', () => {
  it('ends of windows, silences and deliveries are not held up by a flood of one incident and a slow store', async () => {
    const board = createMemoryBoard(true);
    const raise = board.raise.bind(board);
    board.raise = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return raise(...args);
    };
    const at = replica({ board });
    await at.dispatch.start();
    at.dispatch.raised(alertRecord('replay.seen'));
    const flood = setInterval(() => at.dispatch.raised(alertRecord('binding.key_changed')), 2);
    try {
      await until(() => at.told.length === 2, 'both to be told');
      at.clock.advance(300);
      await until(
        () => at.told.some(({ event, alert }) => event === 'resolved' && alert.code === 'replay.seen'),
        'the end',
      );
      await until(() => at.told.some(({ event, count }) => event === 'repeated' && count > 3), 'how many there were');
    } finally {
      clearInterval(flood);
    }
  });

  it('a message that is refused for ever is given up, counted, and keeps nothing of its incident back', async () => {
    const at = replica();
    await at.dispatch.start();
    at.state.refuses = 20;
    at.dispatch.raised(state);
    for (let i = 0; i < 20; i++) {
      await until(() => (at.couriers[0]?.state.failures ?? 0) > i, 'an attempt');
      at.clock.advance(1);
    }
    await until(() => at.couriers[0]?.state.dropped === 1, 'it to be given up');
    at.dispatch.resolved(over);
    await at.has('resolved');
  });
});

describe('R-63: replicas', () => {
  it('where the one that had the first alert is gone for good another one tells, also of a state', async () => {
    const board = createMemoryBoard(true);
    const clock = createTestClock();
    const gone = replica({ board, clock, id: 'gone' });
    await gone.dispatch.start();
    gone.state.down = true;
    for (const code of ['replay.seen', 'policy.replicas_differ'])
      gone.dispatch.raised(alertRecord(code, { client: null }));
    await until(async () => (await board.list()).length === 2, 'both to be open');
    await gone.stop();
    const other = replica({ board, clock, id: 'other' });
    await other.dispatch.start();
    await other.quiet();
    expect(other.events()).toEqual([]);
    clock.advance(300);
    await until(() => other.told.filter(({ event }) => event === 'triggered').length === 2, 'both to be told');
  });

  it('one that comes back with a first alert whose incident is over tells its end after it', async () => {
    const board = createMemoryBoard(true);
    const clock = createTestClock();
    const gone = replica({ board, clock, id: 'gone' });
    await gone.dispatch.start();
    gone.state.down = true;
    gone.dispatch.raised(alertRecord('replay.seen'));
    await until(() => gone.couriers[0]?.state.failures, 'an attempt');
    await gone.stop();
    const other = replica({ board, clock, id: 'other' });
    await other.dispatch.start();
    clock.advance(300);
    await other.has('triggered', 'resolved');
    const back = replica({ board, clock, id: 'gone', dir: gone.dir });
    await back.dispatch.start();
    await back.has('triggered', 'resolved');
    expect(back.told.map(({ id }) => id)).toEqual(other.told.map(({ id }) => id));
  });

  it('R-29: with the store away each tells under the same id, and what ends then is told when the store is there again', async () => {
    const shared = createMemoryBoard(true);
    let away = false;
    const flaky = new Proxy(shared, {
      get: (target, name: keyof AlertBoard) =>
        typeof target[name] === 'function'
          ? (...args: never[]) => {
              if (away) return Promise.reject(new Error('away'));
              return (target[name] as (...all: never[]) => unknown)(...args);
            }
          : target[name],
    });
    const clock = createTestClock();
    const make = (id: string) => replica({ clock, id, board: createSharedBoard(flaky, createMemoryBoard(false)) });
    const [a, b] = [make('a'), make('b')];
    for (const each of [a, b]) await each.dispatch.start();
    a.dispatch.raised(state);
    await a.has('triggered');
    away = true;
    for (const each of [a, b]) each.dispatch.raised(alertRecord('replay.seen'));
    await until(() => a.told.length === 2 && b.told.length === 1, 'both to tell');
    expect(a.told[1]?.id).toBe(b.told[0]?.id);
    // What began while the store was away ends here as well.
    const log = { reasons: ['log.failing'], params: { log: 'a' } };
    a.dispatch.raised(alertRecord('log.failing', { client: null, ...log }));
    await until(() => a.told.length === 3, 'a state');
    a.dispatch.resolved(log);
    await until(() => a.told.length === 4, 'its end');
    expect(a.told[3]?.occurrence).toBe(a.told[2]?.occurrence);
    a.told.splice(2);
    a.dispatch.resolved(over);
    await a.quiet();
    expect(a.events()).toEqual(['triggered', 'triggered']);
    away = false;
    // Whichever of them looks first.
    const end = await until(
      () => [...a.told, ...b.told].find(({ event, alert }) => event === 'resolved' && alert.code === 'clock.skew'),
      'the end',
    );
    expect(end.occurrence).toBe(a.told[0]?.occurrence);
  });
});
