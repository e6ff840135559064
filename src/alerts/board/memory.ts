// The incidents of one process: where there is no store that replicas share, and while that store is away. What it knows is
// written down by whoever has it, so that a restart ends no incident in silence.
import { BoundedCache } from '../../core/bounded-cache.ts';
import {
  type AlertBoard,
  type Ended,
  GONE_MS,
  type Incident,
  LEASE_MS,
  LONGEST_WINDOW_MS,
  MOST_ENDED,
  MOST_INCIDENTS,
  MOST_SILENCES,
  type Occurrence,
  opened,
  type Raise,
  type Raised,
  type Silence,
  silenceName,
} from './board.ts';

/** What a board in memory knows, to be written down. */
export interface BoardState {
  incidents: Incident[];
  silences: Silence[];
  /** Incidents that had to make room for others, and whose end is to be told. */
  evicted?: Incident[];
}

export interface MemoryBoard extends AlertBoard {
  /** Whether an incident is open here. */
  has(incident: string): boolean;
  /** What holds over all replicas, in place of what is known here. */
  keepSilences(rows: readonly Silence[]): void;
  state(): BoardState;
  /** Grows with every change. */
  readonly revision: number;
}

/**
 * `alone`: no other replica may raise the same. Otherwise what is told of an incident has the same ids on all of them, which are
 * made of the window in which it begins.
 */
export const createMemoryBoard = (alone: boolean, before: BoardState = { incidents: [], silences: [] }): MemoryBoard =>
  new BoardInMemory(alone, before);

class BoardInMemory implements MemoryBoard {
  readonly #alone: boolean;
  /** The one that was quiet for longest comes first. */
  readonly #incidents: Map<string, Incident>;
  readonly #silences: Map<string, Silence>;
  /** How often an incident began in one window. */
  readonly #begun = new BoundedCache<string, number>(MOST_INCIDENTS);
  /** Incidents that had to make room for others, to be told to be over. */
  #evicted: Incident[];
  /** When each spool has asked last. */
  readonly #spools = new Map<string, number>();
  revision = 0;

  constructor(alone: boolean, { incidents, silences, evicted = [] }: BoardState) {
    this.#evicted = evicted;
    this.#alone = alone;
    this.#incidents = new Map(incidents.map((incident) => [incident.alert.incident, incident]));
    this.#silences = new Map(silences.map((row) => [silenceName(row), row]));
  }

  async raise(by: string, raises: readonly Raise[], now: number): Promise<Raised[]> {
    return raises.map((raise) => {
      const row = this.#incidents.get(raise.alert.incident);
      const known = row?.closing ? undefined : row;
      const incident = known
        ? { ...known, count: known.count + raise.count, fresh: known.fresh + raise.count, last: now }
        : opened(by, raise, now, this.#markOf(raise, now));
      // Another one of the name begins before it was told that this one is over.
      if (row?.closing) this.#evict(row);
      if (!known || raise.count > 0) this.#put(incident);
      const own = known !== undefined && known.by === by && !known.delivered;
      return { first: !known, own, since: incident.since, due: incident.due, mark: incident.mark };
    });
  }

  async ended(by: string, now: number): Promise<Ended[]> {
    this.#spools.set(by, now);
    const found: Ended[] = this.#evicted
      .splice(0, MOST_ENDED / 2)
      .map((incident) => ({ incident, over: true, orphaned: false }));
    for (const [key, incident] of this.#incidents) {
      if (found.length >= MOST_ENDED) break;
      if (incident.due > now && incident.due <= now + LONGEST_WINDOW_MS) continue;
      const orphaned = now - (this.#spools.get(incident.by) ?? 0) > GONE_MS;
      const over = incident.closing || (incident.fresh === 0 && !incident.alert.lasts);
      // Left as it is: its owner takes it with the next look.
      if (!incident.delivered && incident.by !== by && !orphaned) continue;
      this.#incidents.set(key, { ...incident, due: now + LEASE_MS, closing: over });
      this.revision += 1;
      found.push({ incident, over, orphaned });
    }
    return found;
  }

  async told(ended: readonly Ended[], now: number): Promise<void> {
    for (const { incident, over } of ended) {
      const key = incident.alert.incident;
      const row = this.#incidents.get(key);
      if (row?.mark !== incident.mark) continue;
      if (over) this.#incidents.delete(key);
      else this.#incidents.set(key, { ...row, fresh: row.fresh - incident.fresh, due: now + row.windowMs });
      this.revision += 1;
    }
  }

  async resolve(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#change(key, { closing: true, due: 0 });
  }

  async delivered(occurrences: readonly Occurrence[]): Promise<void> {
    for (const { incident, mark } of occurrences)
      if (this.#incidents.get(incident)?.mark === mark) this.#change(incident, { delivered: true });
  }

  async acknowledge(key: string, acknowledged: NonNullable<Incident['acknowledged']>): Promise<Incident | undefined> {
    return this.#change(key, { acknowledged });
  }

  async list(): Promise<Incident[]> {
    return [...this.#incidents.values()];
  }

  async silence(row: Silence): Promise<boolean> {
    const name = silenceName(row);
    if (this.#silences.size >= MOST_SILENCES && !this.#silences.has(name)) return false;
    this.#silences.set(name, row);
    this.revision += 1;
    return true;
  }

  async silences(now: number): Promise<Silence[]> {
    for (const [name, { until }] of this.#silences) if (until <= now) this.#silences.delete(name);
    return [...this.#silences.values()];
  }

  has(incident: string): boolean {
    return this.#incidents.has(incident);
  }

  keepSilences(rows: readonly Silence[]): void {
    if (JSON.stringify(rows) === JSON.stringify([...this.#silences.values()])) return;
    this.#silences.clear();
    for (const row of rows) this.#silences.set(silenceName(row), row);
    this.revision += 1;
  }

  state(): BoardState {
    const evicted = this.#evicted.length > 0 && { evicted: this.#evicted };
    return { incidents: [...this.#incidents.values()], silences: [...this.#silences.values()], ...evicted };
  }

  #put(incident: Incident): void {
    const key = incident.alert.incident;
    this.#incidents.delete(key);
    if (this.#incidents.size >= MOST_INCIDENTS)
      for (const [name, quiet] of this.#incidents) {
        if (quiet.alert.lasts) continue;
        this.#incidents.delete(name);
        this.#evict(quiet);
        break;
      }
    this.#incidents.set(key, incident);
    this.revision += 1;
  }

  #evict(incident: Incident): void {
    this.#evicted.push(incident);
    if (this.#evicted.length > MOST_INCIDENTS) this.#evicted.shift();
  }

  #change(key: string, change: Partial<Incident>): Incident | undefined {
    const incident = this.#incidents.get(key);
    if (!incident) return undefined;
    const changed = { ...incident, ...change };
    this.#incidents.set(key, changed);
    this.revision += 1;
    return changed;
  }

  #markOf({ alert, windowMs }: Raise, now: number): string {
    if (this.#alone) return String(now);
    const name = `${alert.incident} ${Math.floor(now / windowMs)}`;
    const times = this.#begun.get(name) ?? 0;
    this.#begun.set(name, times + 1);
    return `w${Math.floor(now / windowMs)}.${times}`;
  }
}
