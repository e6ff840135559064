// One replica's dispatch of alerts with a receiver of the test's own, all of it closed after each test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { Message } from '../../src/alerts/alert.ts';
import type { AlertBoard } from '../../src/alerts/board/board.ts';
import { createMemoryBoard } from '../../src/alerts/board/memory.ts';
import { createCourier } from '../../src/alerts/courier.ts';
import { createDispatch } from '../../src/alerts/dispatch.ts';
import { DeliveryError } from '../../src/alerts/receivers/receiver.ts';
import { openSpool } from '../../src/alerts/spool/spool.ts';
import type { AlertSettings } from '../../src/decision/alerts/settings.ts';
import { contextOf } from './alerts.ts';
import { createTestClock } from './clock.ts';
import { until } from './harness.ts';

const dirs: string[] = [];
const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

interface Options {
  board?: AlertBoard;
  clock?: ReturnType<typeof createTestClock>;
  dir?: string;
  id?: string;
  names?: string[];
  settings?: Partial<AlertSettings>;
  mostBytes?: number;
}

/** One replica, and what its receivers were told, in the order in which they have taken it. */
export function replica(options: Options = {}) {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'sallyport-dispatch-'));
  dirs.push(dir);
  const { clock = createTestClock(), id = 'r1', names = ['hook'], board = createMemoryBoard(true) } = options;
  const spool = openSpool({ file: join(dir, 'spool.jsonl'), id, onFailing: () => {}, onUnreadable: () => {} });
  const state = { fails: 0, refuses: 0, down: false, dropped: 0 };
  const told: Message[] = [];
  const couriers = names.map((name) =>
    createCourier({
      ...{ name, type: 'test', events: ['triggered', 'repeated', 'acknowledged', 'resolved'] },
      retry: { first_seconds: 0.01, longest_seconds: 0.02 },
      now: () => clock.now(),
      receiver: {
        concurrency: 8,
        async send(message) {
          if (state.refuses-- > 0) throw new DeliveryError('no', { refused: true });
          if (state.down || state.fails-- > 0) throw new DeliveryError('away');
          told.push(message);
        },
        close: async () => {},
      },
      onTaken: (item) => dispatch.taken(item, name),
      onRefused: (item) => dispatch.taken(item, name),
      onFailing: () => {},
      onWell: () => {},
    }),
  );
  const dispatch = createDispatch({
    ...{ spool, couriers, board: () => board, now: () => clock.now(), mostBytes: options.mostBytes ?? 1e8 },
    ...{ context: () => contextOf(options.settings, id), steadyMs: 30, unseenMs: 50 },
    onDropped: () => {
      state.dropped += 1;
    },
  });
  const timer = setInterval(() => void dispatch.look(), 5);
  const stop = async () => {
    clearInterval(timer);
    for (const courier of couriers) await courier.close();
    spool.close();
  };
  stops.push(stop);
  const events = () => told.map(({ event }) => event);
  const has = (...wanted: string[]) =>
    until(() => events().join() === wanted.join() || undefined, `${wanted}, not ${events()}`);
  /** Nothing more comes, for a while. */
  const quiet = () => new Promise((resolve) => setTimeout(resolve, 1300));
  return { dir, clock, spool, state, told, dispatch, couriers, board, stop, events, has, quiet };
}
