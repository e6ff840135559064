// The board of all replicas, with one of this process behind it: while the store is away each replica tells by itself, under ids
// that are the same on all of them, because an alert that waits for a store reaches nobody.
import type { AlertBoard, Ended, Incident, Raise, Raised } from './board.ts';
import type { MemoryBoard } from './memory.ts';

/** How long the store may take about an alert, in milliseconds: whoever is told should be told within a second. */
const PATIENCE_MS = 300;
/** How long it is left alone after it did not answer. */
const PAUSE_MS = 2000;

export function createSharedBoard(shared: AlertBoard, local: MemoryBoard): AlertBoard {
  let awayUntil = 0;
  const away = () => performance.now() < awayUntil;

  /** What the store answers within a moment, or `otherwise`. */
  async function ask<T>(work: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
    if (away()) return otherwise();
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error('late')), PATIENCE_MS);
      });
      return await Promise.race([work(), late]);
    } catch {
      awayUntil = performance.now() + PAUSE_MS;
      return otherwise();
    } finally {
      clearTimeout(timer);
    }
  }

  /** On both boards. Rejects where the store does not answer, after this process has done its part. */
  async function onBoth<T>(work: (board: AlertBoard) => Promise<T>): Promise<[T, T]> {
    const here = await work(local);
    return [here, await work(shared)];
  }

  return {
    async raise(by, raises, now) {
      // What began here while the store was away is over here as well.
      const here = (raise: Raise) => local.has(raise.alert.incident);
      const [own, others] = [raises.filter(here), raises.filter((raise) => !here(raise))];
      const ofOwn = await local.raise(by, own, now);
      const ofOthers =
        others.length === 0
          ? []
          : await ask(
              () => shared.raise(by, others, now),
              () => local.raise(by, others, now),
            );
      return raises.map((raise): Raised => {
        const at = own.indexOf(raise);
        return (at >= 0 ? ofOwn[at] : ofOthers[others.indexOf(raise)]) as Raised;
      });
    },
    async ended(by, now) {
      const here = await local.ended(by, now);
      // An answer that comes late is taken as well: what it names is leased to this replica.
      return away() ? here : [...here, ...(await shared.ended(by, now).catch((): Ended[] => []))];
    },
    async told(ended, now) {
      await onBoth((board) => board.told(ended, now));
    },
    async resolve(incidents) {
      await onBoth((board) => board.resolve(incidents));
    },
    async delivered(occurrences) {
      await onBoth((board) => board.delivered(occurrences));
    },
    async acknowledge(incident, by) {
      const [here, there] = await onBoth((board) => board.acknowledge(incident, by));
      return there ?? here;
    },
    list: async () => (await onBoth((board) => board.list())).flat(),
    async silence(row) {
      const taken = await shared.silence(row);
      if (taken) await local.silence(row);
      return taken;
    },
    silences: (now) =>
      ask(
        async () => {
          const rows = await shared.silences(now);
          local.keepSilences(rows);
          return rows;
        },
        () => local.silences(now),
      ),
  };
}

/** What is open on two boards, which counts once. */
export function byName(incidents: readonly Incident[]): Incident[] {
  const found = new Map<string, Incident>();
  for (const incident of incidents) {
    const other = found.get(incident.alert.incident);
    found.set(incident.alert.incident, other ? { ...incident, count: incident.count + other.count } : incident);
  }
  return [...found.values()];
}
