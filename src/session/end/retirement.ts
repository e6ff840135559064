// The end of a token: calls in flight may finish, bounded, then it is logged out and probed.
// Until that is done it is a debt in the store, so that a replica that dies, or a backend that does not
// answer, leaves it to a later attempt.

import { bulkhead, type IPolicy } from 'cockatiel';
import type { BackendPort, LogoutResult } from '../../backend/port.ts';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import type { SessionEvents } from '../events.ts';
import type { InUse } from '../in-use.ts';
import type { SessionRecord } from '../record.ts';
import { type OverdueLogout, pendingLogoutName, type SessionStore } from '../store.ts';
import type { Vault } from '../vault.ts';

export interface Retirement {
  /** When a debt that begins now is overdue. */
  due(backend: BackendPort | undefined): number;
  /** Begins to retire a token that is a debt already, and returns at once. `drain`: calls may be using it. */
  retire(record: SessionRecord, cause: string, drain?: 'drain'): void;
  /** Retires what somebody else has left behind. */
  takeOver(debt: OverdueLogout): void;
  settled(): Promise<void>;
}

export interface RetirementOptions {
  store: SessionStore;
  backends: ReadonlyMap<string, BackendPort>;
  inUse: InUse;
  vault: Vault;
  clock: Clock;
  events: SessionEvents;
}

/** On top of the drain: what a logout and its probe may take. */
const GRACE_MS = 30_000;
/** A backend refuses more than it takes at once, and what is refused stays alive. */
const AT_ONCE = 8;
/** How often a backend is asked, every half a minute, before the token is given up as a residual risk. */
const ATTEMPTS = 240;
const REMEMBERED = 100_000;

export function createRetirement({ store, backends, inUse, vault, clock, events }: RetirementOptions): Retirement {
  const running = new Map<string, Promise<void>>();
  const attempts = new BoundedCache<string, number>(REMEMBERED);
  const turns = new Map<string, IPolicy>(
    [...backends.keys()].map((name) => [name, bulkhead(AT_ONCE, Number.MAX_SAFE_INTEGER)]),
  );

  async function end(record: SessionRecord, name: string, cause: string, drain: boolean): Promise<void> {
    const backend = backends.get(record.backend);
    const backendToken = vault.open(record);
    // Another replica may know the backend and the key, during a change of either: the debt stays.
    if (!backend || !backendToken) {
      if (!told(name)) events({ type: 'session_unopenable', record });
      if ((attempts.get(name) ?? 0) >= ATTEMPTS) await giveUp(record, name, cause);
      return;
    }
    const began = performance.now();
    let drained = await inUse.drained(record, backend.drainMs);
    // Calls on other replicas may hold the token as well.
    const left = backend.drainMs - (performance.now() - began);
    if (drain && drained) drained = await store.drained(record.owner, Math.max(0, left)).catch(() => false);
    const turn = turns.get(backend.name) as IPolicy;
    const proof: LogoutResult = await turn
      .execute(() => backend.logout(backendToken))
      .catch(() => 'unreachable' as const);
    if (proof === 'unreachable' && (attempts.get(name) ?? 0) < ATTEMPTS) {
      if (!told(name)) events({ type: 'logout_pending', record, cause });
      return;
    }
    attempts.delete(name);
    vault.forget(record);
    events({ type: 'session_ended', record, cause, proof: proof === 'dead' ? 'dead' : 'residual', drained });
    await store.removePendingLogout(record, name).catch(() => undefined);
  }

  async function giveUp(record: SessionRecord, name: string, cause: string): Promise<void> {
    attempts.delete(name);
    events({ type: 'session_ended', record, cause, proof: 'residual', drained: true });
    await store.removePendingLogout(record, name).catch(() => undefined);
  }

  /** Counts an attempt; whether there was one before. */
  function told(name: string): boolean {
    const before = attempts.get(name) ?? 0;
    attempts.set(name, before + 1);
    return before > 0;
  }

  function start(record: SessionRecord, name: string, cause: string, drain: boolean): void {
    // One that waits for a slow backend is overdue again before it has had its turn.
    const once = JSON.stringify([record.owner, record.backend, name]);
    if (running.has(once)) return;
    const work = end(record, name, cause, drain)
      .catch(() => {})
      .finally(() => running.delete(once));
    running.set(once, work);
  }

  return {
    due: (backend) => clock.now() + (backend?.drainMs ?? 0) + GRACE_MS,
    retire: (record, cause, drain) => start(record, pendingLogoutName(record), cause, drain !== undefined),
    takeOver({ key, name, record }) {
      if (record) start(record, name, 'left behind', false);
      else events({ type: 'login_abandoned', key });
    },
    async settled() {
      while (running.size > 0) await Promise.allSettled(running.values());
    },
  };
}
