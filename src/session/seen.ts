// What this replica has seen of each session, so that it notices when the store goes back. Whoever can write to
// the store can put a whole old row back, and everything in it is as it was sealed, or take a row away; only somebody
// who has seen it can tell.
import { BoundedCache } from '../core/bounded-cache.ts';
import { type SessionKey, type SessionRecord, sessionKey } from './record.ts';
import type { SessionSnapshot } from './store.ts';

/** Most sessions that are remembered; the one that was not seen for the longest time is forgotten first. */
const SEEN = 10_000;

export interface Seen {
  /**
   * Notes a record that is stored, if it is newer than the one seen before. `revocations`: how often the session had
   * been revoked when it was read. `askedAt`: when the store was asked, by `performance.now()`.
   */
  note(record: SessionRecord, revocations?: number, askedAt?: number): void;
  /**
   * The record that was seen before and that the store has lost, or undefined. The store was asked at `at`, by
   * `performance.now()`: what was noted after that does not count.
   */
  lost(key: SessionKey, now: SessionSnapshot, at: number): SessionRecord | undefined;
  /** Forgets what was seen, because the loss is on record. */
  forget(key: SessionKey): void;
  /** The servers of the store have changed, so that it may have gone back by itself. */
  epochChanged(): void;
}

export function createSeen(): Seen {
  const newest = new BoundedCache<string, { record: SessionRecord; revocations: number; at: number }>(SEEN);
  let clearedAt = Number.NEGATIVE_INFINITY;
  return {
    note(record, revocations, askedAt = performance.now()) {
      const known = newest.get(sessionKey(record));
      if (
        askedAt <= clearedAt ||
        (known && known.record.serial >= record.serial && !succeeds(record, revocations, known))
      )
        return;
      newest.set(sessionKey(record), {
        record,
        revocations: revocations ?? known?.revocations ?? Number.NaN,
        at: performance.now(),
      });
    },
    lost(key, now, at) {
      const known = newest.get(sessionKey(key));
      if (!known || known.at >= at) return undefined;
      const { record, revocations, damaged } = now;
      if (record)
        return known.record.serial > record.serial && !succeeds(record, revocations, known) ? known.record : undefined;
      // A session ends in the same step that counts a revocation, so a row does not go without one.
      return damaged !== undefined || known.revocations === revocations ? known.record : undefined;
    },
    forget: (key) => void newest.delete(sessionKey(key)),
    epochChanged() {
      newest.clear();
      clearedAt = performance.now();
    },
  };
}

/** Whether the record is of a session that was opened after the known one had ended, by a clock that is a bit behind. */
const succeeds = (
  { id }: SessionRecord,
  revocations: number | undefined,
  known: { record: SessionRecord; revocations: number },
): boolean => id !== known.record.id && revocations !== undefined && revocations > known.revocations;
