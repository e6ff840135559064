// The end of a backend token. Calls in flight may finish for a bounded time; then the token is logged out, and a
// probe shows whether it is dead. Until then a pending logout stays in the store, so that a later attempt
// finishes the work when a replica dies or the backend does not answer.

import { bulkhead, type IPolicy } from 'cockatiel';
import type { BackendPort, Checkpoint, LogoutResult } from '../../backend/port.ts';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import type { Cause, SessionEvents } from '../events.ts';
import { pendingLogoutName, pendingOf, sameLogin } from '../pending.ts';
import { openEntryOf, type SessionKey, type SessionRecord } from '../record.ts';
import type { OverdueLogout, SessionStore } from '../store.ts';
import type { InUse } from '../use/in-use.ts';
import type { Vault } from '../vault.ts';
import type { OpenEntries } from './open-entries.ts';

/**
 * Logs out backend tokens that are out of use, in the background. No method rejects: an attempt that fails leaves its
 * pending logout in the store, for a later sweep.
 */
export interface Retirement {
  /** When a pending logout that is added now becomes overdue, in milliseconds since 1970. */
  due(backend: BackendPort | undefined): number;
  /**
   * Begins to retire a backend token that already has a pending logout, and returns at once. It waits for the calls
   * of this process that use the token and, with `drain`, for calls on other replicas too, both for a bounded time.
   */
  retire(record: SessionRecord, cause: Cause, drain?: 'drain'): void;
  /** The same for the value in use of a login that has ended, and after it for the superseded values of that login. */
  retireLogin(record: SessionRecord, cause: Cause): void;
  /** Finishes what another replica has left behind. A login that left no token behind can only be reported. */
  takeOver(logout: OverdueLogout): void;
  /** Resolves when no retirement is running in this process. */
  settled(): Promise<void>;
}

/** What a retirement works with. A backend that is not in `backends` is one that this replica does not know. */
export interface RetirementOptions {
  store: SessionStore;
  backends: ReadonlyMap<string, BackendPort>;
  inUse: InUse;
  vault: Vault;
  clock: Clock;
  events: SessionEvents;
  entries: OpenEntries;
}

/** How long a logout and its probe may take, after the drain, before another replica takes over. */
const GRACE_MS = 30_000;
/**
 * Most logouts at one backend at the same time. A backend refuses more than it can take, and a session whose logout
 * was refused stays alive.
 */
const AT_ONCE = 8;
/**
 * How often one replica tries a logout, about every half a minute, before it reports the token as a residual risk
 * (R-25).
 */
const ATTEMPTS = 240;
/** Most pending logouts whose attempts are counted; the oldest count is forgotten first. */
const REMEMBERED = 100_000;

/** Makes the retirement of this process. Attempts are counted per process, so each replica has its own count. */
export function createRetirement(options: RetirementOptions): Retirement {
  const { store, backends, inUse, vault, clock, events, entries } = options;
  const { once, settled } = createRunning();
  const attempts = createAttempts();
  const turns = new Map<string, IPolicy>(
    [...backends.keys()].map((name) => [name, bulkhead(AT_ONCE, Number.MAX_SAFE_INTEGER)]),
  );

  async function end(record: SessionRecord, name: string, cause: Cause, drain: boolean): Promise<void> {
    const backend = backends.get(record.backend);
    const backendToken = vault.openToEnd(record);
    // While a backend or a sealing key is being changed, another replica may know it, so the pending logout stays.
    if (!backend || !backendToken) {
      if (!attempts.told(name)) await events({ type: 'session_unopenable', record });
      if (!attempts.many(name)) return;
      await events({ type: 'session_ended', record, cause, proof: 'residual', drained: true });
      return removed(record, name);
    }
    const drained = await drainOf(record, backend.drainMs, inUse, drain ? store : undefined);
    const turn = turns.get(backend.name) as IPolicy;
    const proof: LogoutResult = await turn
      .execute(() => backend.logout(backendToken, leftBy(options, record)))
      .catch(() => 'unreachable' as const);
    if (proof === 'unreachable' && !attempts.many(name)) {
      if (!attempts.told(name)) await events({ type: 'logout_pending', record, cause });
      return;
    }
    vault.forget(record);
    await events({
      type: 'session_ended',
      record,
      cause,
      proof: proof === 'unreachable' ? 'residual' : proof,
      drained,
    });
    await removed(record, name);
  }

  /** Does what the pending logout is about, by its name. */
  async function finish({ key, name, record }: OverdueLogout, cause: Cause, drain: boolean): Promise<void> {
    const pending = pendingOf(name);
    switch (pending.kind) {
      case 'login':
        // Told before what is known of the login is removed: this replica can die as well.
        if (!attempts.told(`abandoned ${name}`))
          await events({ type: 'login_abandoned', key, cause: 'its replica is gone' });
        break;
      case 'older':
        if (record) {
          const { count } = pending;
          await events({ type: 'session_ended', record, cause, proof: 'superseded', drained: true, count });
        }
        return removed(key, name);
      case 'token':
        // Somebody has written to the store: it cannot be logged out by anybody.
        if (!record) await events({ type: 'session_damaged', key });
        break;
      default:
        pending satisfies never;
    }
    if (record) await end(record, name, cause, drain);
    else await removed(key, name);
  }

  /** The token is dead, or what is left of it is on record. */
  async function removed(key: SessionKey, name: string): Promise<void> {
    attempts.forget(name);
    attempts.forget(`abandoned ${name}`);
    await store.removePendingLogout(key, name).catch(() => undefined);
  }

  return {
    due: (backend) => clock.now() + (backend?.drainMs ?? 0) + GRACE_MS,
    retire(record, cause, drain) {
      const name = pendingLogoutName(record);
      once(record, name, () => end(record, name, cause, drain !== undefined));
    },
    retireLogin(record, cause) {
      const inUse = pendingLogoutName(record);
      const last = once(record, inUse, () => end(record, inUse, cause, true));
      once(record, `superseded of ${inUse}`, async () => {
        const [all] = await Promise.all([store.pendingLogouts(record), last]);
        const left = (each: OverdueLogout) => each.record !== undefined && sameLogin(each.record, record);
        const others = all.filter((each) => each.name !== inUse && left(each));
        await Promise.all(others.map((each) => once(record, each.name, () => finish(each, cause, true))));
        if (!(await store.pendingLogouts(record)).some(left)) entries.remove(openEntryOf(record));
      });
    },
    takeOver: (logout) => void once(logout.key, logout.name, () => finish(logout, 'left behind', false)),
    settled,
  };
}

/** Waits for the calls that use the token, for a bounded time: those of this process, and with `store` of all replicas. */
async function drainOf(
  record: SessionRecord,
  limitMs: number,
  inUse: InUse,
  store: SessionStore | undefined,
): Promise<boolean> {
  const began = performance.now();
  const drained = await inUse.drained(record, limitMs);
  if (!drained || !store) return drained;
  const left = limitMs - (performance.now() - began);
  return store.drained(record.owner, Math.max(0, left)).catch(() => false);
}

/** Notes what a logout has brought and could not end, as a pending logout of its own. */
const leftBy =
  ({ store, vault, clock }: RetirementOptions, record: SessionRecord): Checkpoint =>
  async (token) => {
    const value = vault.seal(record, token);
    await store.addPendingLogout(value, { record: value, due: clock.now() + GRACE_MS });
  };

/** Runs each retirement once at a time. */
function createRunning() {
  const running = new Map<string, Promise<void>>();
  return {
    /** A retirement that waits for a slow backend is overdue again before it has had its turn; it is not begun twice. */
    once({ owner, backend }: SessionKey, name: string, work: () => Promise<void>): Promise<void> {
      const id = JSON.stringify([owner, backend, name]);
      const under = running.get(id);
      if (under) return under;
      const begun = work()
        .catch(() => {})
        .finally(() => running.delete(id));
      running.set(id, begun);
      return begun;
    },
    async settled(): Promise<void> {
      while (running.size > 0) await Promise.allSettled(running.values());
    },
  };
}

/** Counts the attempts of each logout. */
function createAttempts() {
  const attempts = new BoundedCache<string, number>(REMEMBERED);
  return {
    /** Counts an attempt and answers whether there was one before, so that a problem that lasts is reported once. */
    told(name: string): boolean {
      const before = attempts.get(name) ?? 0;
      attempts.set(name, before + 1);
      return before > 0;
    },
    /** Whether the logout has been tried for long enough. */
    many: (name: string): boolean => (attempts.get(name) ?? 0) >= ATTEMPTS,
    forget: (name: string): void => void attempts.delete(name),
  };
}
