// The incidents of one process: where there is no store that replicas share, and while that store is away. What it knows is
// written down by whoever has it, so that a restart ends no incident in silence.
import {
  type AlertBoard,
  type Ended,
  type Incident,
  MOST_ENDED,
  MOST_INCIDENTS,
  MOST_SILENCES,
  opened,
  type Silence,
  silenceName,
} from './board.ts';

/** What a board in memory knows, to be written down. */
export interface BoardState {
  incidents: Incident[];
  silences: Silence[];
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

export function createMemoryBoard(before: BoardState = { incidents: [], silences: [] }): MemoryBoard {
  // The one that was quiet for longest comes first.
  const incidents = new Map(before.incidents.map((incident) => [incident.alert.incident, incident]));
  const silences = new Map(before.silences.map((row) => [silenceName(row), row]));
  let revision = 0;
  const put = (incident: Incident): void => {
    const key = incident.alert.incident;
    incidents.delete(key);
    if (incidents.size >= MOST_INCIDENTS) incidents.delete(incidents.keys().next().value as string);
    incidents.set(key, incident);
    revision += 1;
  };

  return {
    async raise(by, raises, now) {
      return raises.map((raise) => {
        const known = incidents.get(raise.alert.incident);
        const incident = known
          ? { ...known, count: known.count + raise.count, fresh: known.fresh + raise.count, last: now }
          : opened(by, raise, now);
        if (!known || raise.count > 0) put(incident);
        const own = known !== undefined && known.by === by && !known.delivered;
        return { first: !known, own, since: incident.since, due: incident.due };
      });
    },
    async ended(now) {
      const found: Ended[] = [];
      for (const [key, incident] of incidents) {
        if (found.length === MOST_ENDED) break;
        if (incident.due > now) continue;
        revision += 1;
        if (incident.fresh === 0 && !incident.alert.lasts) {
          incidents.delete(key);
          found.push({ incident, over: true });
          continue;
        }
        incidents.set(key, { ...incident, fresh: 0, due: now + incident.windowMs });
        if (incident.fresh > 0) found.push({ incident, over: false });
      }
      return found;
    },
    async resolve(keys) {
      const found = keys.flatMap((key) => incidents.get(key) ?? []);
      for (const { alert } of found) incidents.delete(alert.incident);
      revision += found.length;
      return found;
    },
    async delivered(keys) {
      for (const key of keys) {
        const incident = incidents.get(key);
        if (incident) incidents.set(key, { ...incident, delivered: true });
      }
      revision += keys.length;
    },
    async acknowledge(key, acknowledged) {
      const incident = incidents.get(key);
      if (!incident) return undefined;
      const taken = { ...incident, acknowledged };
      incidents.set(key, taken);
      revision += 1;
      return taken;
    },
    list: async () => [...incidents.values()],
    async silence(row) {
      silences.set(silenceName(row), row);
      if (silences.size > MOST_SILENCES) {
        const [first] = [...silences].sort(([, a], [, b]) => a.until - b.until);
        if (first) silences.delete(first[0]);
      }
      revision += 1;
    },
    async silences(now) {
      for (const [name, { until }] of silences) if (until <= now) silences.delete(name);
      return [...silences.values()];
    },
    keepSilences(rows) {
      if (JSON.stringify(rows) === JSON.stringify([...silences.values()])) return;
      silences.clear();
      for (const row of rows) silences.set(silenceName(row), row);
      revision += 1;
    },
    has: (incident) => incidents.has(incident),
    state: () => ({ incidents: [...incidents.values()], silences: [...silences.values()] }),
    get revision() {
      return revision;
    },
  };
}
