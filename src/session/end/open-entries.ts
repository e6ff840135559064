// Which logins this replica has made that have not ended yet, kept outside the store. Whoever loses the store loses the
// backend tokens in it, and nobody can log those sessions out any more; but that they were left behind is on record,
// because each login has an entry here until its end is on record.
import type { ControlPort } from '../control.ts';
import type { SessionEvents } from '../events.ts';
import type { OpenEntry, SessionRecord } from '../record.ts';
import type { SessionStore } from '../store.ts';

/** Keeps the entries over a crash. `put` and `remove` have happened when they return, and never throw. */
export interface OpenEntries {
  put(entry: OpenEntry): void;
  remove(entry: Pick<OpenEntry, 'session' | 'login'>): void;
  all(): readonly OpenEntry[];
  has(entry: Pick<OpenEntry, 'session' | 'login'>): boolean;
}

export interface Reconciliation {
  store: SessionStore;
  control: ControlPort;
  entries: OpenEntries;
  events: SessionEvents;
}

/**
 * Compares the entries with the store. A login that has no row and no pending logout was ended by some replica, which is
 * on record; but where the store's epoch is another by now, it may have been lost with the store, and is reported as
 * left behind. Rejects when the store does not answer.
 */
export async function reconcile({ store, control, entries, events }: Reconciliation): Promise<void> {
  const { epoch } = await control.read(0);
  async function known(entry: OpenEntry): Promise<boolean> {
    const same = (record: SessionRecord | undefined): boolean =>
      record?.fingerprint === entry.session && record.login === entry.login;
    if (same((await store.get(entry)).record)) return true;
    return (await store.pendingLogouts(entry)).some((each) => same(each.record) || !each.record);
  }
  for (const entry of [...entries.all()]) {
    // Looked at twice: a login that is stored between the two questions is in neither answer.
    const found = (await known(entry)) || (await known(entry));
    if (!entries.has(entry)) continue;
    if (found) {
      if (entry.epoch !== epoch) entries.put({ ...entry, epoch });
      continue;
    }
    if (entry.epoch !== epoch) await events({ type: 'session_lost', entry, cause: 'store.lost' });
    entries.remove(entry);
  }
}
