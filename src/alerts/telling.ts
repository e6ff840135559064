// Who is told of a message, and when: routes, quiet hours and silences, and what gives way where more waits than fits.
import { BoundedCache } from '../core/bounded-cache.ts';
import type { AlertContext, Message } from './alert.ts';
import { MOST_INCIDENTS, type Occurrence, type Silence } from './board/board.ts';
import type { Courier } from './courier.ts';
import { type Route, routeOf, silencedUntil } from './routing.ts';
import type { Spool, Spooled, Undecided } from './spool/spool.ts';

export interface TellingOptions {
  spool: Spool;
  couriers: readonly Courier[];
  context: () => AlertContext;
  /** On a clock that replicas share; milliseconds since 1970. */
  now: () => number;
  /** Most bytes that wait. */
  mostBytes: number;
  /** How many alerts wait to be decided on; and drops one of those, of the kind with the most. Answers false where none waits. */
  undecided: { size(): number; drop(): boolean };
  /** Alerts were dropped because there were more than fit. */
  onDropped: (receiver: string) => void;
  /** Everybody who was to be told of the first alert of an incident has been, or nobody is to be. */
  onDelivered: (occurrence: Occurrence) => void;
}

export interface Telling {
  /** Has a message delivered, and forgets the alert that it is made of. */
  tell(message: Message, instead?: Undecided): void;
  /** Hands on what stood in the spool at the start. */
  resume(item: Spooled): void;
  /** A receiver has taken it, or is not to be told. */
  taken(item: Spooled, receiver: string): void;
  /** What is silenced from now on. */
  silenced(rows: readonly Silence[]): void;
  /** Beyond the bound, of the receiver for which most wait, the kind of which most wait gives way. */
  makeRoom(): void;
}

/** The receiver of what is dropped before it is known who is to be told. */
const ANY = 'any';
/** Of what is dropped, so much at once. */
const ROOM = 0.9;

export const createTelling = (options: TellingOptions): Telling => new RoutedTelling(options);

class RoutedTelling implements Telling {
  readonly #options: TellingOptions;
  readonly #couriers: ReadonlyMap<string, Courier>;
  /** Incidents of which nobody is told before a silence ends. */
  readonly #hushed = new BoundedCache<string, Spooled>(MOST_INCIDENTS);
  #silences: readonly Silence[] = [];

  constructor(options: TellingOptions) {
    this.#options = options;
    this.#couriers = new Map(options.couriers.map((courier) => [courier.name, courier]));
  }

  tell(message: Message, instead?: Undecided): void {
    const { spool, now, onDelivered } = this.#options;
    const { incident } = message.alert;
    if (message.event !== 'triggered' && this.#unhush(incident, message.event === 'resolved')) return;
    const until = silencedUntil(message.alert, this.#silences, now());
    const silent = until > 0 && message.event === 'triggered';
    const route = until > 0 && message.event === 'repeated' ? new Map<string, number>() : this.#routeOf(message, until);
    if (route.size === 0 || spool.has(message.id)) {
      if (instead) spool.forget(instead);
      if (route.size === 0 && message.event === 'triggered') onDelivered(occurrenceIn(message));
      return;
    }
    const item = spool.deliver(message, route, instead);
    if (silent) this.#hushed.set(incident, item);
    this.#hand(item);
    this.makeRoom();
  }

  resume(item: Spooled): void {
    this.#hand(item);
    // It was silenced, or waited for the end of quiet hours; both may be others by now.
    const { message } = item;
    if (message.event !== 'triggered' || ![...item.to.values()].some((from) => from > 0)) return;
    this.#hushed.set(message.alert.incident, item);
    this.#postpone();
  }

  #hand(item: Spooled): void {
    for (const name of [...item.to.keys()]) {
      const courier = this.#couriers.get(name);
      if (courier) courier.add(item);
      else this.taken(item, name);
    }
  }

  taken(item: Spooled, receiver: string): void {
    const { spool, onDelivered } = this.#options;
    const { message } = item;
    const { incident } = message.alert;
    // Whoever has heard of it hears of its end as well.
    if (this.#hushed.get(incident) === item) this.#hushed.delete(incident);
    if (spool.taken(item, receiver) && message.event === 'triggered') onDelivered(occurrenceIn(message));
  }

  silenced(rows: readonly Silence[]): void {
    this.#silences = rows;
    if (this.#hushed.size > 0) this.#postpone();
  }

  /** Of what waits for the end of a silence: silences and quiet hours may be others by now. */
  #postpone(): void {
    const { now, couriers } = this.#options;
    for (const [incident, item] of this.#hushed) {
      const until = silencedUntil(item.message.alert, this.#silences, now());
      const route = this.#routeOf(item.message, until);
      for (const name of item.to.keys()) {
        const from = route.get(name) ?? until;
        item.to.set(name, from);
        this.#couriers.get(name)?.postpone(item, from);
      }
      if (until === 0) this.#hushed.delete(incident);
    }
    for (const courier of couriers) courier.look();
  }

  makeRoom(): void {
    const { spool, couriers, mostBytes, undecided, onDropped } = this.#options;
    if (spool.waitingBytes <= mostBytes) return;
    while (spool.waitingBytes > mostBytes * ROOM) {
      const [fullest] = [...couriers].sort((a, b) => b.state.waiting - a.state.waiting);
      if (undecided.size() > (fullest?.state.waiting ?? 0)) {
        if (!undecided.drop()) return;
        onDropped(ANY);
        continue;
      }
      const dropped = fullest?.drop();
      if (!fullest || !dropped) return;
      spool.taken(dropped, fullest.name);
      onDropped(fullest.name);
    }
  }

  /** Of an incident that nobody was told of because of a silence nobody is told more. `over`: it ends within the silence. */
  #unhush(incident: string, over: boolean): boolean {
    const item = this.#hushed.get(incident);
    if (!item) return false;
    if (!over) return true;
    this.#hushed.delete(incident);
    const left = [...item.to.keys()].filter((name) => this.#couriers.get(name)?.cancel(item) === false);
    for (const name of [...item.to.keys()]) if (!left.includes(name)) this.taken(item, name);
    return left.length === 0;
  }

  /** The first alert of an incident waits for the end of a silence. */
  #routeOf({ alert, event }: Message, silentUntil: number): Route {
    const { context, couriers, now } = this.#options;
    const names = couriers.map(({ name }) => name);
    const route = [...routeOf(alert, context().settings, names, now())].filter(([name]) => {
      const courier = this.#couriers.get(name);
      // Whoever is told in the morning, or when it is there again, need not be told of each window before.
      return courier?.events.has(event) && !(event === 'repeated' && courier.waits(alert.incident));
    });
    return new Map(event === 'triggered' ? route.map(([name, from]) => [name, Math.max(from, silentUntil)]) : route);
  }
}

const occurrenceIn = ({ alert, mark }: Message): Occurrence => ({ incident: alert.incident, mark });
