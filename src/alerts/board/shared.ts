// The board of all replicas, with one of this process behind it: while the store is away each replica tells by itself, under ids
// that are the same on all of them, because an alert that waits for a store reaches nobody.
import type { AlertBoard, Raise, Raised } from './board.ts';
import type { MemoryBoard } from './memory.ts';

/** How long the store may take about an alert, in milliseconds: whoever is told should be told within a second. */
const PATIENCE_MS = 300;
/** How long it is left alone after it did not answer. */
const PAUSE_MS = 2000;

export function createSharedBoard(shared: AlertBoard, local: MemoryBoard): AlertBoard {
  let awayUntil = 0;

  /** What the store answers, or `otherwise`. */
  async function ask<T>(work: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
    if (performance.now() < awayUntil) return otherwise();
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
  const both = async <T>(work: (board: AlertBoard) => Promise<T[]>): Promise<T[]> => [
    ...(await work(local)),
    ...(await ask(
      () => work(shared),
      async () => [],
    )),
  ];

  return {
    async raise(by, raises, now) {
      // What began here while the store was away is over here as well.
      const here = (raise: Raise) => local.has(raise.alert.incident);
      const [own, others] = [raises.filter(here), raises.filter((raise) => !here(raise))];
      const [ofOwn, ofOthers] = [
        await local.raise(by, own, now),
        others.length === 0
          ? []
          : await ask(
              () => shared.raise(by, others, now),
              () => local.raise(by, others, now),
            ),
      ];
      return raises.map((raise): Raised => {
        const at = own.indexOf(raise);
        return (at >= 0 ? ofOwn[at] : ofOthers[others.indexOf(raise)]) as Raised;
      });
    },
    ended: (now) => both((board) => board.ended(now)),
    resolve: (incidents) => both((board) => board.resolve(incidents)),
    async delivered(incidents) {
      await both(async (board) => {
        await board.delivered(incidents);
        return [];
      });
    },
    async acknowledge(incident, by) {
      if (local.has(incident)) return local.acknowledge(incident, by);
      return shared.acknowledge(incident, by);
    },
    list: () => both((board) => board.list()),
    async silence(row) {
      await shared.silence(row);
      await local.silence(row);
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
