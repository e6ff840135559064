// Brings alerts to one receiver. One that hangs or is away costs nobody else anything: it has a queue of its own, and pauses that
// grow. While it fails one alert at a time is tried. What is told of one incident goes out in its order, one after the other: a
// pager that hears of the end first would ring for ever.
import { messageOf } from '../core/errors.ts';
import { within } from '../core/within.ts';
import type { Message } from './alert.ts';
import { DeliveryError, type Receiver } from './receivers/receiver.ts';
import { createFairQueue, type Waiting } from './spool/fair-queue.ts';
import type { Spooled } from './spool/spool.ts';

/** How a receiver fares. */
export interface CourierState {
  name: string;
  type: string;
  waiting: number;
  delivered: number;
  /** Attempts that failed. */
  failures: number;
  dropped: number;
  gaps: number;
  /** Why it does not take alerts; undefined while it does. */
  problem: string | undefined;
}

export interface Courier {
  readonly name: string;
  /** The kinds of message that it is sent. */
  readonly events: ReadonlySet<string>;
  readonly state: CourierState;
  add(item: Spooled): void;
  /** Something of the incident has not been taken yet: then how often it happened since need not be told as well. */
  waits(incident: string): boolean;
  /** Takes out one that waits, of the kind with the most; undefined where nothing does. */
  drop(): Spooled | undefined;
  /** Nobody is to be told of it any more. Answers false where that comes too late. */
  cancel(item: Spooled): boolean;
  /** It is to be told from then on; no effect on what is under way. To be followed by `look`. */
  postpone(item: Spooled, from: number): void;
  /** Counts what was sent and may have been lost on the way. */
  gap(messages: number): void;
  /** Sends one message at once, past the queue. Rejects with a DeliveryError. */
  test(message: Message): Promise<void>;
  /** Looks whether the time of something has come. */
  look(): void;
  close(): Promise<void>;
}

export interface CourierOptions {
  name: string;
  type: string;
  receiver: Receiver;
  events: readonly string[];
  retry: { first_seconds: number; longest_seconds: number };
  now: () => number;
  onTaken: (item: Spooled) => void;
  /** The receiver would not have it, however often it was tried. */
  onRefused: (item: Spooled) => void;
  /** It begins to fail, or (undefined) takes alerts again. */
  onFailing: (problem: string | undefined) => void;
  /** It has taken the first alert since the start: whatever was wrong before is not any more. */
  onWell: () => void;
}

/** So often a message is tried that the receiver will not have. */
const MOST_REFUSALS = 20;
/** So many failures one after the other are no accident. */
const FAILING_AFTER = 3;
/** How long what is under way may take to end when this process ends, in milliseconds. */
const CLOSING_MS = 2000;

interface Item extends Waiting {
  spooled: Spooled;
  /** How often the receiver would not have it, and when it is tried again. */
  refusals: number;
  from: number;
}

export const createCourier = (options: CourierOptions): Courier => new QueueingCourier(options);

/** A class: its parts call each other. */
class QueueingCourier implements Courier {
  readonly name: string;
  readonly events: ReadonlySet<string>;
  readonly #options: CourierOptions;
  /** By incident, what is to be told of it. The first of each stands in the queue, is held, or is under way. */
  readonly #lines = new Map<string, Item[]>();
  readonly #queue = createFairQueue<Item>();
  readonly #held = new Set<Item>();
  readonly #stop = new AbortController();
  #closing = false;
  #waiting = 0;
  #underWay = 0;
  #delivered = 0;
  #failures = 0;
  #dropped = 0;
  #gaps = 0;
  /** Failures since the last success, and messages that were refused since then. */
  #streak = 0;
  #refused = 0;
  #problem: string | undefined;
  /** undefined: nobody knows yet. */
  #failing: boolean | undefined;
  #wakeUp: NodeJS.Timeout | undefined;
  #pausedUntil = 0;
  /** The receiver has asked to be left alone until then. */
  #aloneUntil = 0;
  #failedAt = 0;
  #idle: (() => void) | undefined;

  constructor(options: CourierOptions) {
    this.#options = options;
    this.name = options.name;
    this.events = new Set([...options.events, 'test']);
  }

  get state(): CourierState {
    const { name, type } = this.#options;
    return {
      ...{ name, type, waiting: this.#waiting, delivered: this.#delivered, failures: this.#failures },
      ...{ dropped: this.#dropped, gaps: this.#gaps, problem: this.#problem },
    };
  }

  add(spooled: Spooled): void {
    const { alert } = spooled.message;
    const who = alert.client ? `${alert.client.issuer} ${alert.client.id}` : (alert.address ?? '');
    const kind = `${alert.severity} ${alert.code}`;
    const item = { spooled, kind, who, refusals: 0, from: spooled.to.get(this.name) ?? 0 };
    this.#waiting += 1;
    const line = this.#lines.get(alert.incident);
    if (line) return void line.push(item);
    this.#lines.set(alert.incident, [item]);
    this.#ready(item);
    this.#pump();
  }

  waits(incident: string): boolean {
    return this.#lines.has(incident);
  }

  drop(): Spooled | undefined {
    const fullest = this.#queue.fullest();
    const item = (fullest && this.#queue.dropFrom(fullest.kind)) ?? this.#held.values().next().value;
    if (!item) return undefined;
    this.#held.delete(item);
    this.#dropped += 1;
    this.#done(item);
    return item.spooled;
  }

  cancel(spooled: Spooled): boolean {
    const line = this.#lines.get(spooled.message.alert.incident);
    const item = line?.find((each) => each.spooled === spooled);
    if (!line || !item) return false;
    if (this.#held.delete(item)) {
      this.#done(item);
      return true;
    }
    // It is the first in the queue or under way: then it is told all the same.
    if (line[0] === item) return false;
    line.splice(line.indexOf(item), 1);
    this.#waiting -= 1;
    return true;
  }

  postpone(spooled: Spooled, from: number): void {
    const item = this.#lines.get(spooled.message.alert.incident)?.find((each) => each.spooled === spooled);
    if (item && item.refusals === 0) item.from = from;
  }

  gap(messages: number): void {
    this.#gaps += messages;
  }

  async test(message: Message): Promise<void> {
    await this.#options.receiver.send(message, this.#stop.signal);
  }

  look(): void {
    const now = this.#options.now();
    for (const item of this.#held)
      if (item.from <= now) {
        this.#held.delete(item);
        this.#queue.add(item);
      }
    this.#pump();
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#wakeUp);
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    if (this.#underWay > 0) await within(idle, CLOSING_MS);
    await this.#options.receiver.close();
    this.#stop.abort();
  }

  #ready(item: Item): void {
    if (item.from > this.#options.now()) this.#held.add(item);
    else this.#queue.add(item);
  }

  /** The first of a line is done with, and the next one is ready. */
  #done({ spooled }: Item): void {
    const { incident } = spooled.message.alert;
    const line = this.#lines.get(incident);
    line?.shift();
    this.#waiting -= 1;
    const next = line?.[0];
    if (next) this.#ready(next);
    else this.#lines.delete(incident);
  }

  #pump(): void {
    if (this.#closing) return;
    const left = Math.max(this.#pausedUntil, this.#aloneUntil) - performance.now();
    if (left > 0) {
      if (this.#queue.size > 0) this.#wakeUp ??= setTimeout(() => this.#awake(), left).unref();
      return;
    }
    const most = this.#streak > 0 ? 1 : this.#options.receiver.concurrency;
    while (this.#underWay < most) {
      const item = this.#queue.take();
      if (!item) return;
      this.#underWay += 1;
      void this.#send(item);
    }
  }

  #awake(): void {
    this.#wakeUp = undefined;
    this.#pump();
  }

  async #send(item: Item): Promise<void> {
    const { receiver, onTaken } = this.#options;
    const began = performance.now();
    try {
      await receiver.send(item.spooled.message, this.#stop.signal);
      this.#well();
      this.#done(item);
      onTaken(item.spooled);
    } catch (thrown) {
      this.#failed(item, thrown, began);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#idle?.();
      this.#pump();
    }
  }

  #well(): void {
    const { onFailing, onWell } = this.#options;
    this.#delivered += 1;
    [this.#streak, this.#refused, this.#pausedUntil, this.#problem] = [0, 0, 0, undefined];
    if (this.#failing === true) onFailing(undefined);
    else if (this.#failing === undefined) onWell();
    this.#failing = false;
  }

  #failed(item: Item, thrown: unknown, began: number): void {
    if (this.#stop.signal.aborted) return;
    const error = thrown instanceof DeliveryError ? thrown : new DeliveryError(messageOf(thrown));
    this.#failures += 1;
    this.#problem = error.message;
    if (error.retryAfterMs !== undefined)
      this.#aloneUntil = Math.max(this.#aloneUntil, performance.now() + error.retryAfterMs);
    if (error.refused) {
      // The others may be taken: this one is tried again after a pause of its own.
      item.refusals += 1;
      if (item.refusals === 1) this.#refused += 1;
      if (item.refusals >= MOST_REFUSALS) return this.#giveUp(item);
      item.from = this.#options.now() + this.#pause(item.refusals);
      this.#held.add(item);
    } else {
      this.#queue.add(item);
      // Those that were under way together have failed once.
      if (began >= this.#failedAt) {
        this.#streak += 1;
        this.#pausedUntil = performance.now() + this.#pause(this.#streak);
      }
      this.#failedAt = performance.now();
    }
    if (Math.max(this.#streak, this.#refused) < FAILING_AFTER || this.#failing) return;
    this.#failing = true;
    this.#options.onFailing(error.message);
  }

  #giveUp(item: Item): void {
    this.#dropped += 1;
    this.#done(item);
    this.#options.onRefused(item.spooled);
  }

  /** Full jitter would let two replicas come back at once; half of it keeps the pauses growing. In milliseconds. */
  #pause(failures: number): number {
    const { first_seconds, longest_seconds } = this.#options.retry;
    const most = Math.min(longest_seconds, first_seconds * 2 ** Math.min(failures - 1, 30));
    return most * 1000 * (0.5 + Math.random() / 2);
  }
}
