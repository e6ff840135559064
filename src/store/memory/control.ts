// The revocations and the epoch of one process. A new process begins a new epoch: nothing that was remembered before
// counts any more, and DPoP nonces of the old epoch are void.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type Freezes, freezeText, outdated, refuseTooMany } from '../../freeze/freeze.ts';
import { type ControlPort, MOST_REVOCATIONS, REVOCATION_LIFE_MS, selectorText } from '../../session/control.ts';

/** The control state of a single process. Every read is up to date. */
export function createMemoryControl(clock: Clock): ControlPort {
  let revocations: ReadonlyMap<string, number> = new Map();
  let epoch: string = randomUUID();
  let since = clock.now();
  let lost = false;
  let lastRevocation = 0;
  let freezes: Freezes = new Map();
  const next = () => {
    lastRevocation = Math.max(lastRevocation + 1, Math.floor(clock.now()));
    return lastRevocation;
  };
  return {
    read: async () => ({
      ...{ epoch, since, lost, lastRevocation, revocations, freezes },
      ...{ now: clock.now(), skewMs: 0, replicas: [] },
    }),
    async revoke(selector) {
      next();
      const living = [...revocations].filter(([, number]) => number > clock.now() - REVOCATION_LIFE_MS);
      const text = selectorText(selector);
      const all = text === 'all' || (living.length >= MOST_REVOCATIONS && !revocations.has(text));
      // A new map each time, by which a change is noticed.
      revocations = new Map(all ? [['all', lastRevocation]] : [...living, [text, lastRevocation]]);
    },
    async restore(known) {
      const merged = new Map(revocations);
      for (const [text, number] of known) merged.set(text, Math.max(number, merged.get(text) ?? 0));
      revocations = merged;
      lastRevocation = Math.max(lastRevocation, ...known.values());
    },
    async freeze(row) {
      const text = freezeText(row.selector);
      refuseTooMany(freezes, row, clock.now());
      const fresh = new Map([...freezes, [text, { ...row, number: next() }]]);
      for (const old of outdated(fresh, clock.now())) fresh.delete(old);
      freezes = fresh;
    },
    async restoreFreezes(rows) {
      const merged = new Map(freezes);
      for (const [text, row] of rows) if (row.number > (merged.get(text)?.number ?? 0)) merged.set(text, row);
      freezes = merged;
      lastRevocation = Math.max(lastRevocation, ...[...rows.values()].map(({ number }) => number));
    },
    async loseHistory(from) {
      if (from !== epoch) return;
      epoch = randomUUID();
      since = clock.now();
      lost = true;
    },
  };
}
