// Brings alerts to one receiver. One that hangs or is away costs nobody else anything: it has a queue of its own, and pauses that
// grow. While it fails one alert at a time is tried.
import { messageOf } from '../core/errors.ts';
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
  /** An alert about the incident waits here for a time that has not come: more of it need not be told apart. */
  holds(incident: string): boolean;
  /** Takes out one that waits, of the kind with the most; undefined where nothing does. */
  drop(): Spooled | undefined;
  /** Nobody wants it any more. */
  cancel(item: Spooled): void;
  /** Counts one that was sent and may have been lost on the way. */
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
  /** It begins to fail, or (undefined) takes alerts again. */
  onFailing: (problem: string | undefined) => void;
  onGap: (messages: number) => void;
}

/** So many failures one after the other are no accident. */
const FAILING_AFTER = 3;

interface Item extends Waiting {
  spooled: Spooled;
  refusals: number;
}

/** A class: its parts call each other. */
export class QueueingCourier implements Courier {
  readonly name: string;
  readonly events: ReadonlySet<string>;
  readonly #options: CourierOptions;
  readonly #queue = createFairQueue<Item>();
  /** Those whose time has not come, with that time. */
  readonly #held = new Map<Spooled, { item: Item; from: number }>();
  readonly #cancelled = new WeakSet<Spooled>();
  readonly #stop = new AbortController();
  #underWay = 0;
  #delivered = 0;
  #failures = 0;
  #dropped = 0;
  #gaps = 0;
  /** Failures since the last success. */
  #streak = 0;
  #problem: string | undefined;
  #failing = false;
  #wakeUp: NodeJS.Timeout | undefined;
  #pausedUntil = 0;
  #failedAt = 0;

  constructor(options: CourierOptions) {
    this.#options = options;
    this.name = options.name;
    this.events = new Set([...options.events, 'test']);
  }

  get state(): CourierState {
    const { name, type } = this.#options;
    return {
      ...{ name, type, waiting: this.#queue.size + this.#held.size + this.#underWay },
      ...{ delivered: this.#delivered, failures: this.#failures, dropped: this.#dropped, gaps: this.#gaps },
      problem: this.#problem,
    };
  }

  add(spooled: Spooled): void {
    const { alert } = spooled.message;
    const who = alert.client ? `${alert.client.issuer} ${alert.client.id}` : (alert.address ?? '');
    const item = { spooled, refusals: 0, kind: `${alert.severity} ${alert.code}`, who };
    const from = spooled.to.get(this.name) ?? 0;
    if (from > this.#options.now()) this.#held.set(spooled, { item, from });
    else this.#queue.add(item);
    this.#pump();
  }

  holds(incident: string): boolean {
    for (const { message } of this.#held.keys()) if (message.alert.incident === incident) return true;
    return false;
  }

  drop(): Spooled | undefined {
    const fullest = this.#queue.fullest();
    const queued = fullest && this.#queue.dropFrom(fullest.kind)?.spooled;
    const dropped = queued ?? [...this.#held.keys()].at(-1);
    if (!dropped) return undefined;
    this.#held.delete(dropped);
    this.#dropped += 1;
    return dropped;
  }

  cancel(spooled: Spooled): void {
    this.#held.delete(spooled);
    this.#cancelled.add(spooled);
  }

  gap(messages: number): void {
    this.#gaps += messages;
  }

  async test(message: Message): Promise<void> {
    await this.#options.receiver.send(message, this.#stop.signal);
  }

  look(): void {
    const now = this.#options.now();
    for (const [spooled, { item, from }] of this.#held)
      if (from <= now) {
        this.#held.delete(spooled);
        this.#queue.add(item);
      }
    this.#pump();
  }

  async close(): Promise<void> {
    clearTimeout(this.#wakeUp);
    await this.#options.receiver.close();
    this.#stop.abort();
  }

  #pump(): void {
    if (this.#stop.signal.aborted) return;
    const left = this.#pausedUntil - performance.now();
    if (left > 0) {
      if (this.#queue.size > 0) this.#wakeUp ??= setTimeout(() => this.#awake(), left).unref();
      return;
    }
    const most = this.#streak > 0 ? 1 : this.#options.receiver.concurrency;
    while (this.#underWay < most) {
      const item = this.#queue.take();
      if (!item) return;
      if (this.#cancelled.has(item.spooled)) continue;
      this.#underWay += 1;
      void this.#send(item);
    }
  }

  #awake(): void {
    this.#wakeUp = undefined;
    this.#pump();
  }

  async #send(item: Item): Promise<void> {
    const { receiver, onTaken, onFailing } = this.#options;
    const began = performance.now();
    try {
      await receiver.send(item.spooled.message, this.#stop.signal);
      this.#delivered += 1;
      this.#streak = 0;
      this.#pausedUntil = 0;
      this.#problem = undefined;
      if (this.#failing) onFailing(undefined);
      this.#failing = false;
      onTaken(item.spooled);
    } catch (thrown) {
      if (!this.#stop.signal.aborted) this.#failed(item, thrown, began);
    } finally {
      this.#underWay -= 1;
      this.#pump();
    }
  }

  #failed(item: Item, thrown: unknown, began: number): void {
    const error = thrown instanceof DeliveryError ? thrown : new DeliveryError(messageOf(thrown));
    this.#failures += 1;
    this.#problem = error.message;
    // Those that were under way together have failed once.
    const again = began >= this.#failedAt;
    if (again) this.#streak += 1;
    this.#failedAt = performance.now();
    if (error.refused) {
      // The others may be taken: this one is tried again after a pause of its own.
      item.refusals += 1;
      this.#held.set(item.spooled, { item, from: this.#options.now() + this.#pause(item.refusals) });
    } else {
      this.#queue.add(item);
      if (again) this.#pausedUntil = performance.now() + (error.retryAfterMs ?? this.#pause(this.#streak));
    }
    if (this.#streak < FAILING_AFTER || this.#failing) return;
    this.#failing = true;
    this.#options.onFailing(error.message);
  }

  /** Full jitter would let two replicas come back at once; half of it keeps the pauses growing. In milliseconds. */
  #pause(failures: number): number {
    const { first_seconds, longest_seconds } = this.#options.retry;
    const most = Math.min(longest_seconds, first_seconds * 2 ** Math.min(failures - 1, 30));
    return most * 1000 * (0.5 + Math.random() / 2);
  }
}
