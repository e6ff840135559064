// Alerts that wait: for the answer whether they are the first of their kind, or for their receivers. Each is on disk before
// anybody is told, and until all receivers have taken it.
import { isObject } from '../../formats/json.ts';
import type { Alert, Message } from '../alert.ts';
import type { Route } from '../routing.ts';
import { type Journal, openJournal, readJournal } from './journal.ts';

/** One that nobody has decided on: it may be the first of its kind. */
export interface Undecided {
  readonly number: number;
  readonly alert: Alert;
}

/** One that is to be delivered; `to`: those who have not taken it yet, with the time from which they may be told. */
export interface Spooled {
  readonly number: number;
  readonly message: Message;
  readonly to: Map<string, number>;
}

export interface Spool {
  /** Names this spool; it stays the same over restarts. */
  readonly id: string;
  /** What was there when it was opened. */
  readonly before: { undecided: readonly Undecided[]; spooled: readonly Spooled[] };
  /** Keeps an alert until it is decided whether anybody is told. */
  put(alert: Alert): Undecided;
  /** It is to be delivered; an alert that was undecided is not any more. */
  deliver(message: Message, route: Route, instead?: Undecided): Spooled;
  /** A receiver has taken it, or is not to be told. Answers whether all have by now. */
  taken(item: Spooled, receiver: string): boolean;
  /** The incidents are on disk: what became of first alerts may be forgotten. */
  release(): void;
  /** Nobody is told of it. */
  forget(item: Undecided | Spooled): void;
  /** Whether one with this id waits. */
  has(id: string): boolean;
  /** About how many bytes wait. */
  readonly waitingBytes: number;
  look(): void;
  close(): void;
}

export interface SpoolOptions {
  file: string;
  id: string;
  onFailing: (problem: string | undefined) => void;
  /** Lines that make no sense, which somebody has changed or the disk has lost. */
  onUnreadable: (lines: number) => void;
}

export function openSpool({ file, id, onFailing, onUnreadable }: SpoolOptions): Spool {
  const items = new Map<number, { line: string; item: Undecided | Spooled }>();
  const ids = new Set<string>();
  let last = 0;
  let waitingBytes = 0;
  let journal: Journal | undefined;
  /** First alerts that were taken: they are forgotten when it is on disk that their incidents are open. */
  let ended = new Map<number, string>();

  function keep(item: Undecided | Spooled, later?: 'later'): void {
    remove(item.number);
    const line = lineOf(item);
    items.set(item.number, { line, item });
    waitingBytes += line.length;
    if ('message' in item) ids.add(item.message.id);
    journal?.append(line, later);
  }
  function remove(number: number): void {
    const known = items.get(number);
    if (!known) return;
    items.delete(number);
    waitingBytes -= known.line.length;
    if ('message' in known.item) ids.delete(known.item.message.id);
  }
  function forget({ number }: Undecided | Spooled): void {
    remove(number);
    end(number);
  }
  function end(number: number): void {
    journal?.append(JSON.stringify({ n: number, end: true }), 'later');
  }

  let unreadable = 0;
  for (const line of readJournal(file)) if (!replay(line)) unreadable += 1;
  // The last line may have been cut off when the process was killed.
  if (unreadable > 1) onUnreadable(unreadable);

  function replay(line: string): boolean {
    const read = parsed(line);
    if (!isObject(read) || !Number.isSafeInteger(read.n)) return false;
    const number = read.n as number;
    const { alert, message, to, taken, end } = read;
    last = Math.max(last, number);
    if (isObject(alert)) keep({ number, alert: alert as unknown as Alert });
    else if (isObject(message) && isObject(to))
      keep({
        number,
        message: message as unknown as Message,
        to: new Map(Object.entries(to).map(([name, from]) => [name, Number(from)])),
      });
    else if (end === true) remove(number);
    else if (typeof taken === 'string') {
      const item = items.get(number)?.item;
      if (item && isSpooled(item)) item.to.delete(taken);
    } else return false;
    return true;
  }

  const of = <T>(kind: (item: Undecided | Spooled) => item is T & (Undecided | Spooled)) =>
    [...items.values()].flatMap(({ item }) => (kind(item) ? [item] : []));
  const before = { undecided: of(isUndecided), spooled: of(isSpooled) };
  journal = openJournal({
    file,
    *live() {
      for (const { item } of items.values()) yield lineOf(item);
      yield* ended.values();
    },
    liveBytes: () => waitingBytes,
    onFailing,
  });

  return {
    id,
    before,
    put(alert) {
      last += 1;
      const item = { number: last, alert };
      keep(item);
      return item;
    },
    deliver(message, route, instead) {
      if (!instead) last += 1;
      const item = { number: instead?.number ?? last, message, to: new Map(route) };
      keep(item, 'later');
      return item;
    },
    taken(item, receiver) {
      item.to.delete(receiver);
      if (item.to.size === 0) {
        // As it was: it would be told once more.
        const line = items.get(item.number)?.line ?? lineOf(item);
        remove(item.number);
        if (item.message.event === 'triggered') ended.set(item.number, line);
        else end(item.number);
      } else journal?.append(JSON.stringify({ n: item.number, taken: receiver }), 'later');
      return item.to.size === 0;
    },
    release() {
      for (const number of ended.keys()) end(number);
      ended = new Map();
    },
    forget,
    has: (message) => ids.has(message),
    get waitingBytes() {
      return waitingBytes;
    },
    look: () => journal?.look(),
    close() {
      journal?.look();
      journal?.close();
      journal = undefined;
    },
  };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const isUndecided = (item: Undecided | Spooled): item is Undecided => 'alert' in item;
const isSpooled = (item: Undecided | Spooled): item is Spooled => 'message' in item;

const lineOf = (item: Undecided | Spooled): string =>
  isUndecided(item)
    ? JSON.stringify({ n: item.number, alert: item.alert })
    : JSON.stringify({ n: item.number, message: item.message, to: Object.fromEntries(item.to) });
