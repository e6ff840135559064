// Ends sessions: because of a revocation, because nobody can open them, or because their time is over.

import type { BackendPort } from '../../backend/port.ts';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import type { Sealer } from '../../keyring/sealing.ts';
import { CONTROL_AGE_MS, type ControlPort, isRevoked } from '../control.ts';
import type { SessionEvents } from '../events.ts';
import { type Cause, withMore } from '../events.ts';
import type { SessionLimits } from '../limits.ts';
import { pendingLogoutName } from '../pending.ts';
import { lastsUntil, type SessionKey, type SessionRecord, sessionKey } from '../record.ts';
import type { SessionStore, SessionVersion } from '../store.ts';
import { type OpenEntries, reconcile } from './open-entries.ts';
import type { Retirement } from './retirement.ts';

/** What the ending of sessions works with. */
export interface EndingOptions {
  store: SessionStore;
  limits: SessionLimits;
  control: ControlPort;
  backends: ReadonlyMap<string, BackendPort>;
  clock: Clock;
  events: SessionEvents;
  /** When a session that nobody uses is past its time, in milliseconds since 1970. */
  endsAt: (record: SessionRecord) => number;
  retirement: Retirement;
  entries: OpenEntries;
  sealer: Sealer;
}

/** Takes sessions out of the store and has their backend tokens retired. */
export interface Ending {
  /** Ends the session, or only this version of it when one is given. Answers whether there was one. */
  end(key: SessionKey, cause: Cause, version?: SessionVersion | { row: string }): Promise<boolean>;
  /**
   * Ends every session that `meant` picks, and answers the ids of those that were ended. A session that fails to end does not keep
   * the others alive.
   */
  endAll(meant: (record: SessionRecord) => boolean, cause: Cause): Promise<ReadonlySet<string>>;
  /** The ids of the sessions that `meant` picks. Those that cannot be read are left out. */
  list(meant: (record: SessionRecord) => boolean): Promise<ReadonlySet<string>>;
  /**
   * Ends a record that nobody can open, so that the next call logs in. Nobody knows its backend token, so no logout
   * stays pending.
   */
  discard(key: SessionKey, record: SessionRecord): Promise<void>;
  /**
   * Logs out a backend token that no call was given, such as that of a login whose record was not stored. Answers
   * whether the store knows of it: if not, whatever else the store knows of its login must stay.
   */
  discardToken(record: SessionRecord, cause: Cause): Promise<boolean>;
  /**
   * Takes over overdue logouts, visits sessions whose reminder has come, and ends what a revocation could not end at
   * once.
   */
  sweep(): Promise<void>;
  /**
   * Notes that this process has just changed the session, so that what was observed before is not trusted any more.
   */
  noteChange(key: SessionKey): void;
  /** When this process last changed the session, by `performance.now()`; 0 when that is not known. */
  changedAt(key: SessionKey): number;
}

/** Most sessions whose last change is remembered. */
const CHANGED = 10_000;
/** How often it is tried to end a session. It may be rotated meanwhile, and then the rotated session must end. */
const TRIES = 3;

/** How often the open logins are compared with the store while its epoch stays the same. */
const RECONCILE_MS = 60_000;

/** Makes the ending of sessions for this process. */
export function createEnding(options: EndingOptions): Ending {
  const { store, limits, control, backends, clock, events, endsAt, retirement, sealer } = options;
  let retired = 0;
  let reconciled = { at: Number.NEGATIVE_INFINITY, epoch: '' };
  const changed = new BoundedCache<string, number>(CHANGED);
  /** Number of the newest revocation for which all stored sessions have been looked through. */
  let scanned = 0;

  function noteChange(key: SessionKey): void {
    changed.set(sessionKey(key), performance.now());
  }

  async function end(key: SessionKey, cause: Cause, version?: SessionVersion | { row: string }): Promise<boolean> {
    const record = await store.revoke(key, retirement.due(backends.get(key.backend)), version);
    noteChange(key);
    if (!record) return false;
    void events({ type: 'session_revoked', record, cause });
    retirement.retireLogin(record, cause);
    await limits.leave(record, key, record.id).catch(() => undefined);
    return true;
  }

  async function endMeant(first: SessionRecord, meant: (record: SessionRecord) => boolean, cause: Cause) {
    let record: SessionRecord | undefined = first;
    for (let i = 0; i < TRIES && record && meant(record); i++) {
      if (await end(record, cause, record)) return true;
      record = (await store.get(record)).record;
    }
    return false;
  }

  async function scan(meant: (record: SessionRecord) => boolean, cause: Cause) {
    const ended = new Set<string>();
    let failed = 0;
    try {
      for await (const record of store.records()) {
        try {
          if (meant(record) && (await endMeant(record, meant, cause))) ended.add(record.id);
        } catch {
          failed += 1;
        }
      }
    } catch {
      // Not all records could be read, so a later sweep looks again.
      failed += 1;
    }
    return { ended, failed };
  }

  /** Ends a session whose time is over because nobody has come back to it, or has it visited again later. */
  async function visit(key: SessionKey, now: number): Promise<void> {
    const { record } = await store.get(key);
    if (!record) return;
    // A replica that died after its login may have stored this session when the revocation had already been carried
    // out.
    if (isRevoked(await control.read(CONTROL_AGE_MS), record)) return void (await end(key, 'revoked', record));
    const at = Math.min(endsAt(record), lastsUntil(record));
    if (at <= now) await end(key, 'past its time', record);
    else await store.remind(key, at);
  }

  return {
    end,
    noteChange: noteChange,
    changedAt: (key) => changed.get(sessionKey(key)) ?? 0,
    endAll: async (meant, cause) => (await scan(meant, cause)).ended,

    async list(meant) {
      const found = new Set<string>();
      try {
        for await (const record of store.records()) if (meant(record)) found.add(record.id);
      } catch {
        // What was found so far is told.
      }
      return found;
    },

    async discard(key, record) {
      await store.revoke(key, clock.now(), record).catch(() => undefined);
      await events({ type: 'session_unopenable', record });
      await store.removePendingLogout(key, pendingLogoutName(record)).catch(() => undefined);
    },

    async discardToken(record, cause) {
      const due = retirement.due(backends.get(record.backend));
      const noted = await store.addPendingLogout(record, { record, due }).then(
        () => true,
        () => false,
      );
      if (!noted)
        await events({ type: 'logout_pending', record, cause: withMore(cause, ', and the store did not answer') });
      retirement.retire(record, cause);
      return noted;
    },

    async sweep() {
      const now = clock.now();
      const overdue = store.takeOverdue(now, retirement.due(undefined), (key) => visit(key, now));
      for (const logout of await overdue.catch(() => [])) retirement.takeOver(logout);
      // What a revocation could not end at once, because a store or a replica failed, is ended now.
      const state = await control.read(0);
      if (state.lastRevocation !== scanned) {
        const { failed } = await scan((record) => isRevoked(state, record), 'revoked');
        if (failed === 0) scanned = state.lastRevocation;
      }
      if (sealer.retired !== retired) {
        const before = sealer.retired;
        const { failed } = await scan((record) => sealer.isRetired(record.sealed), 'its sealing key was retired');
        if (failed === 0) retired = before;
      }
      if (reconciled.epoch !== state.epoch || performance.now() - reconciled.at >= RECONCILE_MS) {
        reconciled = { at: performance.now(), epoch: state.epoch };
        await reconcile(options).catch(() => {
          reconciled.epoch = '';
        });
      }
    },
  };
}
