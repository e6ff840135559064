// What happens to an alert between its record and its receivers: it is kept, it is found out whether it is the first of its
// kind, and it is handed to those who are to be told. Nothing of it is waited for by a call.
import type { AlertRecord } from '../audit/records.ts';
import { BoundedCache } from '../core/bounded-cache.ts';
import { within } from '../core/within.ts';
import { closest } from '../decision/alerts/settings.ts';
import { type Alert, alertOf, incidentOf } from './alert.ts';
import { createBefore } from './before.ts';
import type { AlertBoard, Ended, Incident, Occurrence, Raise, Raised, Silence } from './board/board.ts';
import { byName } from './board/shared.ts';
import { firstMessage, laterMessage } from './messages.ts';
import { createFairQueue, type Waiting } from './spool/fair-queue.ts';
import type { Spooled, Undecided } from './spool/spool.ts';
import { createTelling, type Telling, type TellingOptions } from './telling.ts';

export interface DispatchOptions
  extends Pick<TellingOptions, 'spool' | 'couriers' | 'context' | 'now' | 'mostBytes' | 'onDropped'> {
  board: () => AlertBoard;
  /** A state that comes and goes within so many milliseconds is one. */
  steadyMs?: number;
  /** How long after a start a state is found again, if it is still there, in milliseconds. */
  unseenMs?: number;
}

export interface Dispatch {
  /** Takes an alert. Never fails, and nothing is waited for. */
  raised(record: AlertRecord): void;
  /** What an alert was about is over, if it stays so for a moment. */
  resolved(record: Pick<AlertRecord, 'reasons' | 'params'>): void;
  /** A receiver has taken it, or is not to be told. */
  taken(item: Spooled, receiver: string): void;
  /** Somebody has it. Answers undefined where there is no such incident. Rejects when the store does not answer. */
  acknowledge(incident: string, by: { operator: string; reason: string }): Promise<Incident | undefined>;
  /** Answers false where there are too many silences. */
  silence(row: Silence): Promise<boolean>;
  silences(): Promise<readonly Silence[]>;
  incidents(): Promise<readonly Incident[]>;
  /** From now on alerts are handed out, those that were there when the spool was opened first. */
  start(): Promise<void>;
  /** To be called several times a second. */
  look(): Promise<void>;
  /** Waits for what has been raised to be handed out, not for the receivers. What comes later is only kept. */
  pause(): Promise<void>;
}

/** How many are decided on at once. */
const BATCH = 200;
/** Most open incidents that are remembered here; of others the board is asked. */
const MOST_KNOWN = 20_000;
const LOOK_AT_WINDOWS_MS = 1000;
/** How long what was raised may take to be handed out when this process ends, in milliseconds. */
const PAUSE_MS = 1000;
const UNSEEN_MS = 180_000;
const STEADY_MS = 5000;

interface Fresh extends Waiting {
  item: Undecided;
  /** It was there when the spool was opened: it may have been counted before. */
  before: boolean;
}

/** An open incident, as it was told here: `more` were raised that the board does not know of yet. */
interface Known {
  alert: Alert;
  until: number;
  more: number;
}

export const createDispatch = (options: DispatchOptions): Dispatch => new AlertDispatch(options);

class AlertDispatch implements Dispatch {
  readonly #options: DispatchOptions;
  readonly #fresh = createFairQueue<Fresh>();
  readonly #known = new BoundedCache<string, Known>(MOST_KNOWN);
  readonly #dirty = new Set<string>();
  /** States that are over, and when they have been for long enough. */
  readonly #over = new Map<string, number>();
  /** Compares with what was open before, until that is done. */
  #before: (() => Promise<boolean>) | undefined;
  /** Incidents that were raised since the start, while those that were open before it are looked through. */
  #seen: Set<string> | undefined = new Set();
  #told: Occurrence[] = [];
  /** A look is under way, and the ends of windows are to be looked at. */
  #looking = false;
  #windowsDue = false;
  #working: Promise<void> | undefined;
  #running = false;
  #windowsAt = 0;
  readonly #telling: Telling;

  constructor(options: DispatchOptions) {
    this.#options = options;
    this.#telling = createTelling({
      ...options,
      undecided: {
        size: () => this.#fresh.size,
        drop: () => this.#dropFresh(),
      },
      onDelivered: (occurrence) => {
        this.#told.push(occurrence);
        void this.#work();
      },
    });
  }

  raised(record: AlertRecord): void {
    const { spool, context, now } = this.#options;
    const incident = incidentOf(record, spool.id);
    this.#seen?.add(incident);
    this.#over.delete(incident);
    const known = this.#known.get(incident);
    if (known && known.until > now()) {
      known.more += 1;
      this.#dirty.add(incident);
      return;
    }
    const alert = alertOf(record, context());
    this.#known.set(incident, { alert, until: now() + this.#windowOf(alert), more: known?.more ?? 0 });
    this.#decide(spool.put(alert), false);
    this.#telling.makeRoom();
  }

  resolved(record: Pick<AlertRecord, 'reasons' | 'params'>): void {
    this.#over.set(
      incidentOf(record, this.#options.spool.id),
      performance.now() + (this.#options.steadyMs ?? STEADY_MS),
    );
  }

  async acknowledge(name: string, by: { operator: string; reason: string }): Promise<Incident | undefined> {
    const at = this.#options.now();
    const incident = await this.#options.board().acknowledge(name, { ...by, at });
    if (incident) this.#telling.tell({ ...laterMessage('acknowledged', incident, at, at), by });
    return incident;
  }

  async silence(row: Silence): Promise<boolean> {
    const taken = await this.#options.board().silence(row);
    await this.#readSilences();
    return taken;
  }

  silences = async (): Promise<readonly Silence[]> => this.#options.board().silences(this.#options.now());
  incidents = async (): Promise<readonly Incident[]> => byName(await this.#options.board().list());

  async start(): Promise<void> {
    const { before, id } = this.#options.spool;
    const { undecided, spooled } = before;
    for (const item of undecided) this.#decide(item, true);
    await this.#readSilences();
    this.#running = true;
    for (const item of spooled) this.#telling.resume(item);
    const { board, now, unseenMs = UNSEEN_MS } = this.#options;
    this.#before = createBefore({
      ...{ board, now, id, spooled, unseenMs },
      seen: (incident) => this.#seen?.has(incident) === true,
      tell: (message) => this.#telling.tell(message),
      onOver: (incident) => void this.#over.set(incident, 0),
    });
    await this.#work();
  }

  async look(): Promise<void> {
    const { couriers, spool } = this.#options;
    for (const courier of couriers) courier.look();
    if (!this.#running) return;
    if (!this.#looking && performance.now() - this.#windowsAt >= LOOK_AT_WINDOWS_MS) {
      this.#windowsAt = performance.now();
      this.#windowsDue = true;
      spool.look();
      this.#looking = true;
      try {
        await this.#readSilences();
        if (await this.#before?.()) this.#before = this.#seen = undefined;
      } finally {
        this.#looking = false;
      }
    }
    // Not waited for: in a flood there is always something to do.
    void this.#work();
  }

  async pause(): Promise<void> {
    await within(this.#work(), PAUSE_MS);
    this.#running = false;
  }

  taken(item: Spooled, receiver: string): void {
    this.#telling.taken(item, receiver);
  }

  #decide(item: Undecided, before: boolean): void {
    const { alert } = item;
    const who = alert.client?.id ?? alert.address ?? '';
    this.#fresh.add({ item, before, kind: `${alert.severity} ${alert.code}`, who });
    void this.#work();
  }

  /** One at a time, in the order of what happens. Never rejects. */
  #work(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    this.#working ??= this.#workOff()
      // A board answers or is left alone; anything else is tried again with the next look.
      .catch(() => {})
      .finally(() => {
        this.#working = undefined;
      });
    return this.#working;
  }

  async #workOff(): Promise<void> {
    // What is raised in the same turn of the event loop is decided on together.
    await Promise.resolve();
    do {
      await this.#decideSome();
      await this.#count();
      const resolved = await this.#resolve();
      if (this.#windowsDue || resolved) await this.#endWindows();
      await this.#tellDelivered();
    } while (this.#running && this.#fresh.size > 0);
  }

  async #tellDelivered(): Promise<void> {
    const told = this.#told.splice(0);
    if (told.length === 0) return;
    await this.#options
      .board()
      .delivered(told)
      // A store that is away learns of it later.
      .catch(() => this.#told.push(...told.slice(-MOST_KNOWN)));
  }

  async #decideSome(): Promise<void> {
    const { spool, now } = this.#options;
    const batch: Fresh[] = [];
    for (let next = this.#fresh.take(); next; next = batch.length < BATCH ? this.#fresh.take() : undefined)
      batch.push(next);
    const answers = await this.#raise(
      batch.map(({ item: { alert }, before }) => ({ alert, count: before ? 0 : 1, windowMs: this.#windowOf(alert) })),
    );
    batch.forEach(({ item }, i) => {
      const answer = answers[i] ?? this.#alone(item.alert, now());
      const known = this.#known.get(item.alert.incident);
      if (known) known.until = Math.max(answer.due, now() + LOOK_AT_WINDOWS_MS);
      if (answer.first || answer.own) this.#telling.tell(firstMessage(item.alert, answer), item);
      else spool.forget(item);
    });
  }

  /** Tells the board how many more there were. One that was closed in between is a first one. */
  async #count(): Promise<void> {
    const dirty = [...this.#dirty].slice(0, BATCH);
    for (const name of dirty) this.#dirty.delete(name);
    const counted = dirty.flatMap((name) => this.#known.get(name) ?? []).filter(({ more }) => more > 0);
    if (counted.length === 0) return;
    const raises = counted.map(({ alert, more }) => ({ alert, count: more, windowMs: this.#windowOf(alert) }));
    for (const each of counted) each.more = 0;
    const answers = await this.#raise(raises);
    counted.forEach((known, i) => {
      const answer = answers[i] ?? this.#alone(known.alert, this.#options.now());
      known.until = Math.max(answer.due, this.#options.now() + LOOK_AT_WINDOWS_MS);
      if (answer.first) this.#telling.tell(firstMessage(known.alert, answer));
    });
  }

  /** Says what is over. Answers whether there is something to be told. */
  async #resolve(): Promise<boolean> {
    const now = performance.now();
    const over = [...this.#over].filter(([, at]) => at <= now).map(([incident]) => incident);
    if (over.length === 0) return false;
    for (const incident of over) this.#forgetKnown(incident);
    try {
      await this.#options.board().resolve(over);
      for (const incident of over) if ((this.#over.get(incident) ?? now + 1) <= now) this.#over.delete(incident);
    } catch {
      // The store is away: it is asked again with the next look. What is open here is told all the same.
    }
    return true;
  }

  async #endWindows(): Promise<void> {
    const { board, now, spool } = this.#options;
    this.#windowsDue = false;
    const ended = await board()
      .ended(spool.id, now())
      .catch((): Ended[] => []);
    for (const each of ended) this.#end(each);
    // What is told stands in the spool by now. Where the store does not hear of it, it is told once more, under the same id.
    if (ended.length > 0)
      await board()
        .told(ended, now())
        .catch(() => {});
  }

  #end({ incident, over, orphaned }: Ended): void {
    const { alert, delivered, acknowledged, fresh } = incident;
    const now = this.#options.now();
    // Whoever had the first alert has gone with it.
    if (!delivered && orphaned) this.#telling.tell(firstMessage(alert, incident));
    this.#forgetKnown(alert.incident);
    if (over) return this.#telling.tell(laterMessage('resolved', incident, now));
    if (fresh > 0 && !acknowledged)
      this.#telling.tell({ ...laterMessage('repeated', incident, now, incident.count), count: fresh });
  }

  /** What has been raised of it and not counted yet is not forgotten with it. */
  #forgetKnown(incident: string): void {
    const known = this.#known.get(incident);
    if (known) known.until = 0;
  }

  /** A board that fails answers nothing. */
  async #raise(raises: readonly Raise[]): Promise<Raised[]> {
    const { spool, board, now } = this.#options;
    if (raises.length === 0) return [];
    return board()
      .raise(spool.id, raises, now())
      .catch(() => []);
  }

  /** Where no board answers each alert counts as a first one, because nobody else may tell of it. */
  #alone(alert: Alert, now: number): Raised {
    const window = this.#windowOf(alert);
    return { first: true, own: false, since: now, due: now + window, mark: `w${Math.floor(now / window)}.0` };
  }

  /** One of the kind with the most that nobody has decided on gives way. */
  #dropFresh(): boolean {
    const dropped = this.#fresh.dropFrom(this.#fresh.fullest()?.kind ?? '');
    if (dropped) this.#options.spool.forget(dropped.item);
    return dropped !== undefined;
  }

  async #readSilences(): Promise<void> {
    const rows = await this.silences().catch(() => undefined);
    if (rows) this.#telling.silenced(rows);
  }

  #windowOf({ code }: Alert): number {
    const { windows, window_seconds } = this.#options.context().settings;
    return (closest(windows, code) ?? window_seconds) * 1000;
  }
}
