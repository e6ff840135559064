// What this replica has seen of each session, so that it notices when the store goes back. Whoever can write to
// the store can put a whole old row back, and everything in it is as it was sealed; only somebody who has seen a newer
// one can tell.
import { BoundedCache } from '../core/bounded-cache.ts';
import { type SessionKey, type SessionRecord, sessionKey } from './record.ts';

/** Most sessions that are remembered; the one that was not seen for the longest time is forgotten first. */
const SEEN = 10_000;

export interface Seen {
  /** Notes the record, if it is newer than the one seen before. */
  note(record: SessionRecord): void;
  /** The newer record that was seen before this one, or undefined. */
  newerThan(record: SessionRecord): SessionRecord | undefined;
  /** Forgets what was seen, because the loss is on record. */
  forget(key: SessionKey): void;
}

export function createSeen(): Seen {
  const newest = new BoundedCache<string, SessionRecord>(SEEN);
  return {
    note(record) {
      const known = newest.get(sessionKey(record));
      if (known === undefined || known.serial < record.serial) newest.set(sessionKey(record), record);
    },
    newerThan(record) {
      const known = newest.get(sessionKey(record));
      return known !== undefined && known.serial > record.serial ? known : undefined;
    },
    forget: (key) => void newest.delete(sessionKey(key)),
  };
}
