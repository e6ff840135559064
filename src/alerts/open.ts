// Alerts that reach somebody, from the configuration: what is kept on disk, who is told, and what operators ask of it.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { AuditEvents } from '../audit/events/events.ts';
import type { AuditLog } from '../audit/log/log.ts';
import type { AlertRecord } from '../audit/records.ts';
import type { AlertsConfig } from '../config/schema/alerts.ts';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { preparePrivateFolder, writePrivateFile } from '../core/files/private-file.ts';
import type { Reloadable } from '../core/files/reloadable.ts';
import { within } from '../core/within.ts';
import type { AlertSettings } from '../decision/alerts/settings.ts';
import type { Alert } from './alert.ts';
import type { AlertBoard } from './board/board.ts';
import { type BoardState, createMemoryBoard, type MemoryBoard } from './board/memory.ts';
import { createSharedBoard } from './board/shared.ts';
import { type Courier, type CourierState, createCourier } from './courier.ts';
import { createDispatch, type Dispatch } from './dispatch.ts';
import { type OpenedReceiver, openReceiver } from './receivers/open.ts';
import { openSpool } from './spool/spool.ts';

export interface OpenAlertsOptions {
  config: { alerts: AlertsConfig; state_dir: string };
  env: NodeJS.ProcessEnv;
  clock: Clock;
  /** The policy in force. */
  policy: () => { revision: string; settings: { alerts: AlertSettings }; manifest: Reasons };
  /** Whether replicas share a store. */
  shared: boolean;
  onProblem: (problem: string) => void;
}

interface Reasons {
  reasons: Readonly<Record<string, { title: string }>>;
}

/** What operators and metrics ask. */
export interface Alerts
  extends Pick<Dispatch, 'acknowledge' | 'silence' | 'silences' | 'incidents' | 'resolved' | 'raised'> {
  /** Wraps a decision log: each alert that it is given is delivered as well. */
  listening(log: AuditLog): AuditLog;
  /** From now on alerts are handed out. `shared`: what all replicas know; undefined where there is only this process. */
  start(shared: AlertBoard | undefined, clock: Clock, events: AlertTroubles): void;
  states(): readonly CourierState[];
  /** Sends a test to one receiver, or to each; answers why it failed, by receiver. */
  test(by: { operator: string; reason: string }, receiver?: string): Promise<ReadonlyMap<string, string | undefined>>;
  readonly reloadable: readonly Reloadable[];
  /** What comes from now on is only kept: the store is about to be closed. */
  pause(): Promise<void>;
  close(): Promise<void>;
}

/** What is told of the delivery itself. */
export type AlertTroubles = Pick<
  AuditEvents,
  'receiverFailing' | 'alertsDropped' | 'alertGap' | 'spoolFailing' | 'receiverRemoved'
>;

const LOOK_MS = 200;
/** Commands wait for half a minute. */
const LONGEST_TEST_MS = 20_000;
/** A board with very many incidents is not written down each time. */
const MANY = 1000;
const WRITE_MS = 200;

/** Throws an OperatorError where a receiver cannot be used as it is configured. */
export function openAlerts({ config, env, clock, policy, shared, onProblem }: OpenAlertsOptions): Alerts {
  const { receivers, spool_mb: megabytes } = config.alerts;
  const dir = join(config.state_dir, 'alerts');
  preparePrivateFolder(dir);
  const told = createTold();
  const opened = new Map<string, OpenedReceiver>();
  for (const [name, each] of Object.entries(receivers))
    opened.set(
      name,
      openReceiver({ name, config: each, env, replica: hostname(), onGap: (messages) => gap(name, messages) }),
    );
  const known = readKnown(join(dir, 'spool.json'));
  const spool = openSpool({
    ...{ file: join(dir, 'spool.jsonl'), id: known.id },
    onFailing: (problem) => told((events) => events.spoolFailing(problem)),
    onUnreadable: (lines) => onProblem(`${join(dir, 'spool.jsonl')}: ${lines} lines make no sense and are left out`),
  });
  const boardFile = join(dir, 'board.json');
  const local = createMemoryBoard(!shared, readBoard(boardFile, onProblem));
  let board: AlertBoard = local;
  let now = () => clock.now();
  const couriers: Courier[] = [...opened].map(([name, { receiver }]) =>
    createCourier({
      ...{
        name,
        receiver,
        now: () => now(),
        ...courierOptions(receivers[name] as AlertsConfig['receivers'][string]),
      },
      onTaken: (item) => dispatch.taken(item, name),
      onRefused(item) {
        dispatch.taken(item, name);
        drop(name);
      },
      onFailing: (problem) => told((events) => events.receiverFailing(name, problem)),
      onWell: () => dispatch.resolved({ reasons: ['alerts.receiver_failing'], params: { receiver: name } }),
    }),
  );
  const dropped = new Map<string, number>();
  const dispatch = createDispatch({
    ...{ spool, couriers, board: () => board, now: () => now(), mostBytes: megabytes * 1024 * 1024 },
    context() {
      const { revision, settings, manifest } = policy();
      const titleOf = (code: string) => manifest.reasons[code]?.title;
      return { settings: settings.alerts, titleOf, policy: revision, replica: spool.id };
    },
    onDropped: drop,
  });

  function drop(receiver: string): void {
    dropped.set(receiver, (dropped.get(receiver) ?? 0) + 1);
  }
  function gap(name: string, messages: number): void {
    couriers.find((courier) => courier.name === name)?.gap(messages);
    told((events) => events.alertGap(name, messages));
  }
  function tellDropped(): void {
    for (const [receiver, count] of dropped) told((events) => events.alertsDropped(receiver, count));
    dropped.clear();
  }

  const written = createBoardFile(boardFile, local, onProblem);
  /** Nothing of it rejects on purpose, and a mistake of ours must not end the process. */
  const failed = (thrown: unknown): void => onProblem(messageOf(thrown));
  let timer: NodeJS.Timeout | undefined;
  return {
    ...bound(dispatch),
    listening: (log) => ({
      ...log,
      get failure() {
        return log.failure;
      },
      get backlog() {
        return log.backlog;
      },
      alert(record) {
        // First: what cannot be put on record has to reach somebody all the more.
        dispatch.raised(record);
        return log.alert(record);
      },
    }),
    start(ofAll, sharedClock, events) {
      if (ofAll) board = createSharedBoard(ofAll, local);
      now = () => sharedClock.now();
      dispatch.start().catch(failed);
      told.to(events);
      for (const name of known.receivers.filter((each) => !opened.has(each))) events.receiverRemoved(name);
      writePrivateFile(
        join(dir, 'spool.json'),
        `${JSON.stringify({ version: 1, id: spool.id, receivers: [...opened.keys()] })}\n`,
      );
      timer = setInterval(() => {
        tellDropped();
        dispatch.look().catch(failed);
        if (written.write()) spool.release();
      }, LOOK_MS);
      timer.unref();
    },
    states: () => couriers.map(({ state }) => state),
    async test(by, receiver) {
      const asked = couriers.filter(({ name }) => receiver === undefined || name === receiver);
      const results = await Promise.all(
        asked.map(async (courier): Promise<[string, string | undefined]> => {
          try {
            const test = courier.test(testMessage(by, now()));
            const ended = await within(test, LONGEST_TEST_MS);
            if (!ended) return [courier.name, `no answer within ${LONGEST_TEST_MS / 1000} s`];
            await test;
            return [courier.name, undefined];
          } catch (thrown) {
            return [courier.name, messageOf(thrown)];
          }
        }),
      );
      return new Map(results);
    },
    reloadable: [...opened.values()].flatMap(({ reloadable }) => reloadable ?? []),
    pause: () => dispatch.pause(),
    async close() {
      clearInterval(timer);
      await dispatch.pause();
      await Promise.all(couriers.map((courier) => courier.close()));
      if (written.write('now')) spool.release();
      spool.close();
    },
  };
}

const courierOptions = ({ type, events, retry }: AlertsConfig['receivers'][string]) => ({ type, events, retry });

const bound = (dispatch: Dispatch) => ({
  raised: (record: AlertRecord) => dispatch.raised(record),
  resolved: (record: Pick<AlertRecord, 'reasons' | 'params'>) => dispatch.resolved(record),
  acknowledge: (...args: Parameters<Dispatch['acknowledge']>) => dispatch.acknowledge(...args),
  silence: (...args: Parameters<Dispatch['silence']>) => dispatch.silence(...args),
  silences: () => dispatch.silences(),
  incidents: () => dispatch.incidents(),
});

/** What happens before there is anybody to tell is told as soon as there is. */
function createTold() {
  let events: AlertTroubles | undefined;
  const waiting: ((events: AlertTroubles) => void)[] = [];
  return Object.assign(
    (tell: (events: AlertTroubles) => void): void => {
      if (events) tell(events);
      else waiting.push(tell);
    },
    {
      to(those: AlertTroubles): void {
        events = those;
        for (const tell of waiting.splice(0)) tell(those);
      },
    },
  );
}

function readKnown(file: string): { id: string; receivers: string[] } {
  try {
    const { id, receivers } = JSON.parse(readFileSync(file, 'utf8')) as { id: unknown; receivers: unknown };
    if (typeof id === 'string' && Array.isArray(receivers)) return { id, receivers: receivers.map(String) };
  } catch {
    // There is none yet, or it makes no sense: a new name does no harm.
  }
  return { id: randomUUID(), receivers: [] };
}

/** Writes down what a board knows when it has changed. Answers whether all of it is on disk. */
function createBoardFile(file: string, board: MemoryBoard, onProblem: (problem: string) => void) {
  let { revision: written } = board;
  let at = 0;
  return {
    write(urgent?: 'now'): boolean {
      const { revision } = board;
      if (revision === written) return true;
      const state = board.state();
      const pause = state.incidents.length > MANY ? 50 * WRITE_MS : WRITE_MS;
      if (!urgent && performance.now() - at < pause) return false;
      at = performance.now();
      try {
        writePrivateFile(file, JSON.stringify({ version: 1, ...state }));
        written = revision;
        return true;
      } catch (thrown) {
        onProblem(`${file}: ${messageOf(thrown)}`);
        return false;
      }
    },
  };
}

function readBoard(file: string, onProblem: (problem: string) => void): BoardState | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const { version, incidents, silences, evicted = [] } = JSON.parse(text) as { version: unknown } & BoardState;
    if (version === 1 && [incidents, silences, evicted].every(Array.isArray)) return { incidents, silences, evicted };
  } catch {
    // Told below.
  }
  onProblem(`${file} makes no sense: which incidents were open and what was silenced is not known any more`);
  return undefined;
}

function testMessage(by: { operator: string; reason: string }, now: number) {
  const at = new Date(now).toISOString();
  const alert: Alert = {
    ...{ incident: '0'.repeat(32), code: 'alerts.test', severity: 'low', lasts: false, by_use: false },
    ...{ title: 'A test of this receiver, and no alert', mend: null, at, params: {} },
    ...{ tool: null, backend: null, session: null, client: null, address: null },
    ...{ decision_id: null, req_id: null, policy: null },
  };
  const id = `alert_test_${randomUUID()}`;
  return { id, occurrence: id, mark: '', event: 'test' as const, at, alert, count: 1, since: at, by };
}
