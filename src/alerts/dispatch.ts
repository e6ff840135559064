// What happens to an alert between its record and its receivers: it is kept, it is found out whether it is the first of its
// kind, and it is handed to those who are to be told. Nothing of it is waited for by a call.
import type { AlertRecord } from '../audit/records.ts';
import { BoundedCache } from '../core/bounded-cache.ts';
import { closest } from '../decision/alerts/settings.ts';
import { type Alert, type AlertContext, alertOf, incidentOf, type Message, messageId } from './alert.ts';
import type { AlertBoard, Ended, Incident, Raise, Silence } from './board/board.ts';
import type { Courier } from './courier.ts';
import { isSilenced, type Route, routeOf } from './routing.ts';
import { createFairQueue, type Waiting } from './spool/fair-queue.ts';
import type { Spool, Spooled, Undecided } from './spool/spool.ts';

export interface DispatchOptions {
  spool: Spool;
  board: () => AlertBoard;
  couriers: readonly Courier[];
  context: () => AlertContext;
  /** On a clock that replicas share; milliseconds since 1970. */
  now: () => number;
  /** Most bytes that wait. */
  mostBytes: number;
  /** Alerts were dropped because there were more than fit. */
  onDropped: (receiver: string, count: number) => void;
}

export interface Dispatch {
  /** Takes an alert. Never fails, and nothing is waited for. */
  raised(record: AlertRecord): void;
  /** What an alert was about is over. */
  resolved(record: Pick<AlertRecord, 'reasons' | 'params'>): void;
  /** A receiver has taken it, or is not to be told. */
  taken(item: Spooled, receiver: string): void;
  /** Somebody has it. Answers undefined where there is no such incident. Rejects when the store does not answer. */
  acknowledge(incident: string, by: { operator: string; reason: string }): Promise<Incident | undefined>;
  silence(row: Silence): Promise<void>;
  silences(): Promise<readonly Silence[]>;
  incidents(): Promise<readonly Incident[]>;
  /** Hands out what was there when the spool was opened. */
  start(): void;
  /** To be called several times a second. */
  look(): Promise<void>;
  /** Waits for what has been raised to be handed out, not for the receivers. */
  settled(): Promise<void>;
}

/** How many are decided on at once. */
const BATCH = 200;
/** Most open incidents that are remembered here; of others the board is asked. */
const MOST_KNOWN = 20_000;
const LOOK_AT_WINDOWS_MS = 1000;
/** How long after a start a state is found again, if it is still there. */
const UNSEEN_MS = 60_000;

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
  readonly #over = new Set<string>();
  readonly #byReceiver: ReadonlyMap<string, Courier>;
  /** Incidents that were open at the start and last until they are told to be over. */
  readonly #unseen = new Set<string>();
  #told: string[] = [];
  #silences: readonly Silence[] = [];
  #deciding: Promise<void> | undefined;
  #windowsAt = 0;

  constructor(options: DispatchOptions) {
    this.#options = options;
    this.#byReceiver = new Map(options.couriers.map((courier) => [courier.name, courier]));
  }

  raised(record: AlertRecord): void {
    const { spool, context, now } = this.#options;
    const incident = incidentOf(record, spool.id);
    this.#unseen.delete(incident);
    const known = this.#known.get(incident);
    if (known && known.until > now()) {
      known.more += 1;
      this.#dirty.add(incident);
      return;
    }
    const alert = alertOf(record, context());
    this.#known.set(incident, { alert, until: now() + this.#windowOf(alert), more: 0 });
    this.#decide(spool.put(alert), false);
  }

  resolved(record: Pick<AlertRecord, 'reasons' | 'params'>): void {
    const incident = incidentOf(record, this.#options.spool.id);
    this.#known.delete(incident);
    this.#over.add(incident);
    void this.#work();
  }

  async acknowledge(name: string, by: { operator: string; reason: string }): Promise<Incident | undefined> {
    const at = this.#options.now();
    const incident = await this.#options.board().acknowledge(name, { ...by, at });
    if (incident) this.#tell({ ...this.#message('acknowledged', incident, at), count: incident.count, by });
    return incident;
  }

  async silence(row: Silence): Promise<void> {
    await this.#options.board().silence(row);
    this.#silences = await this.silences();
  }

  silences = async (): Promise<readonly Silence[]> => this.#options.board().silences(this.#options.now());
  incidents = async (): Promise<readonly Incident[]> => this.#options.board().list();

  start(): void {
    const { undecided, spooled } = this.#options.spool.before;
    for (const item of undecided) this.#decide(item, true);
    for (const item of spooled) this.#hand(item);
    void this.#findUnseen();
  }

  /** What lasted before and is not found again was mended while nobody looked. */
  async #findUnseen(): Promise<void> {
    const open = await this.incidents().catch(() => []);
    for (const { alert, by } of open)
      if (alert.lasts && by === this.#options.spool.id) this.#unseen.add(alert.incident);
    setTimeout(() => {
      for (const incident of this.#unseen) this.#over.add(incident);
      this.#unseen.clear();
      void this.#work();
    }, UNSEEN_MS).unref();
  }

  async look(): Promise<void> {
    const { board, now, spool, couriers } = this.#options;
    await this.#work();
    for (const courier of couriers) courier.look();
    if (performance.now() - this.#windowsAt < LOOK_AT_WINDOWS_MS) return;
    this.#windowsAt = performance.now();
    spool.look();
    this.#silences = await this.silences().catch(() => this.#silences);
    for (const ended of await board()
      .ended(now())
      .catch(() => []))
      this.#ended(ended);
  }

  async settled(): Promise<void> {
    await this.#work();
  }

  #decide(item: Undecided, before: boolean): void {
    const { alert } = item;
    this.#fresh.add({
      item,
      before,
      kind: `${alert.severity} ${alert.code}`,
      who: alert.client?.id ?? alert.address ?? '',
    });
    void this.#work();
  }

  /** One at a time; what comes while it works is done by it. */
  #work(): Promise<void> {
    this.#deciding ??= this.#workOff().finally(() => {
      this.#deciding = undefined;
    });
    return this.#deciding;
  }

  async #workOff(): Promise<void> {
    // What is raised in the same turn of the event loop is decided on together.
    await Promise.resolve();
    while (this.#fresh.size + this.#dirty.size + this.#over.size + this.#told.length > 0) {
      await this.#decideSome();
      await this.#count();
      await this.#resolve();
      const told = this.#told.splice(0);
      if (told.length > 0)
        await this.#options
          .board()
          .delivered(told)
          .catch(() => {});
    }
  }

  async #decideSome(): Promise<void> {
    const { spool } = this.#options;
    const batch: Fresh[] = [];
    for (let next = this.#fresh.take(); next; next = batch.length < BATCH ? this.#fresh.take() : undefined)
      batch.push(next);
    const answers = await this.#raise(
      batch.map(({ item: { alert }, before }) => ({ alert, count: before ? 0 : 1, windowMs: this.#windowOf(alert) })),
    );
    batch.forEach(({ item }, i) => {
      const { first = true, own = false, since = this.#options.now(), due } = answers[i] ?? {};
      const known = this.#known.get(item.alert.incident);
      if (known && due !== undefined) known.until = due;
      if (first || own) this.#tell(this.#first(item.alert, since), item);
      else spool.forget(item);
    });
  }

  /** Tells the board how many more there were. One that was closed in between is a first one. */
  async #count(): Promise<void> {
    const dirty = [...this.#dirty].slice(0, BATCH);
    for (const name of dirty) this.#dirty.delete(name);
    const counted = dirty.flatMap((name) => this.#known.get(name) ?? []);
    if (counted.length === 0) return;
    const raises = counted.map(({ alert, more }) => ({ alert, count: more, windowMs: this.#windowOf(alert) }));
    for (const each of counted) each.more = 0;
    const answers = await this.#raise(raises);
    counted.forEach((known, i) => {
      const { first = false, since = 0, due } = answers[i] ?? {};
      if (due !== undefined) known.until = due;
      if (first) this.#tell(this.#first(known.alert, since));
    });
  }

  async #resolve(): Promise<void> {
    const over = [...this.#over];
    this.#over.clear();
    if (over.length === 0) return;
    const found = await this.#options
      .board()
      .resolve(over)
      .catch(() => []);
    for (const incident of found) this.#tell(this.#message('resolved', incident, incident.since));
  }

  /** A board that fails answers nothing: then each alert counts as a first one, because nobody else may tell of it. */
  async #raise(raises: readonly Raise[]) {
    const { spool, board, now } = this.#options;
    if (raises.length === 0) return [];
    return board()
      .raise(spool.id, raises, now())
      .catch(() => []);
  }

  #ended({ incident, over }: Ended): void {
    const { alert, by, delivered, acknowledged, fresh, due } = incident;
    // Whoever had the first alert has gone with it.
    if (!delivered && by !== this.#options.spool.id) this.#tell(this.#first(alert, incident.since));
    this.#known.delete(alert.incident);
    if (over) return this.#tell(this.#message('resolved', incident, incident.since));
    if (!acknowledged) this.#tell({ ...this.#message('repeated', incident, due), count: fresh });
  }

  #first(alert: Alert, since: number): Message {
    const window = this.#windowOf(alert);
    return {
      // Replicas that count for themselves make the same id within a window.
      id: messageId('triggered', alert.incident, Math.floor(since / window)),
      ...{ event: 'triggered', at: alert.at, alert, count: 1 },
      ...{ since: new Date(since).toISOString(), by: null },
    };
  }

  #message(event: Message['event'], { alert, since, count }: Incident, which: number): Message {
    return {
      id: messageId(event, alert.incident, which),
      ...{ event, at: new Date(this.#options.now()).toISOString(), alert, count },
      ...{ since: new Date(since).toISOString(), by: null },
    };
  }

  /** Has a message delivered, and forgets the alert that it is made of. */
  #tell(message: Message, instead?: Undecided): void {
    const { spool } = this.#options;
    const route = this.#routeOf(message);
    if (route.size === 0 || spool.has(message.id)) {
      if (instead) spool.forget(instead);
      if (route.size === 0 && message.event === 'triggered') this.#told.push(message.alert.incident);
      return;
    }
    this.#hand(spool.deliver(message, route, instead));
    this.#makeRoom();
  }

  #routeOf({ alert, event }: Message): Route {
    const { context, couriers, now } = this.#options;
    if (isSilenced(alert, this.#silences, now())) return new Map();
    const names = couriers.map(({ name }) => name);
    const route = routeOf(alert, context().settings, names, now());
    return new Map(
      [...route].filter(([name]) => {
        const courier = this.#byReceiver.get(name);
        // Whoever is told in the morning need not be told how often it happened in the night.
        return courier?.events.has(event) && !(event === 'repeated' && courier.holds(alert.incident));
      }),
    );
  }

  #hand(item: Spooled): void {
    for (const name of item.to.keys()) {
      const courier = this.#byReceiver.get(name);
      if (courier) courier.add(item);
      else this.taken(item, name);
    }
  }

  taken(item: Spooled, receiver: string): void {
    const { spool } = this.#options;
    if (!spool.taken(item, receiver) || item.message.event !== 'triggered') return;
    this.#told.push(item.message.alert.incident);
    void this.#work();
  }

  /** Beyond the bound, of the receiver for which most wait, the kind of which most wait gives way. */
  #makeRoom(): void {
    const { spool, couriers, mostBytes, onDropped } = this.#options;
    while (spool.waitingBytes > mostBytes) {
      const [fullest] = [...couriers].sort((a, b) => b.state.waiting - a.state.waiting);
      const dropped = fullest?.drop();
      if (!fullest || !dropped) return;
      spool.taken(dropped, fullest.name);
      onDropped(fullest.name, 1);
    }
  }

  #windowOf({ code }: Alert): number {
    const { windows, window_seconds } = this.#options.context().settings;
    return (closest(windows, code) ?? window_seconds) * 1000;
  }
}
