// The end of a token: calls in flight may finish, bounded, then it is logged out and probed.
// Until that is done it is a debt in the store, so that a replica that dies leaves it to another.
import type { BackendPort } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import type { SessionEvents } from './events.ts';
import type { Leases } from './leases.ts';
import type { SessionRecord } from './record.ts';
import type { SessionStore } from './store.ts';
import type { Vault } from './vault.ts';

export interface Retirement {
  /** When a debt that begins now is overdue. */
  due(backend: BackendPort | undefined): number;
  /** Begins to retire a token and returns at once. `drain`: calls may be using it. */
  retire(record: SessionRecord, cause: string, drain?: 'drain'): void;
  /** Retires what is overdue: the replica that owed it is gone. */
  sweep(): Promise<void>;
  settled(): Promise<void>;
}

export interface RetirementOptions {
  store: SessionStore;
  backends: ReadonlyMap<string, BackendPort>;
  leases: Leases;
  vault: Vault;
  clock: Clock;
  events: SessionEvents;
}

/** On top of the drain: what a logout and its probe may take. */
const GRACE_MS = 30_000;

export function createRetirement({ store, backends, leases, vault, clock, events }: RetirementOptions): Retirement {
  const running = new Set<Promise<void>>();

  async function end(record: SessionRecord, cause: string, drain: boolean): Promise<void> {
    const backend = backends.get(record.backend);
    const token = vault.open(record);
    let drained = true;
    let proof: 'dead' | 'residual' = 'residual';
    if (backend && token) {
      const began = performance.now();
      drained = await leases.drained(record, backend.drainMs);
      // Calls on other replicas may hold the token as well.
      const left = backend.drainMs - (performance.now() - began);
      if (drain && drained) drained = await store.drained(record.owner, Math.max(0, left)).catch(() => false);
      proof = await backend.logout(token).catch(() => 'residual' as const);
    }
    vault.forget(record);
    events({ type: 'session_ended', record, cause, proof, drained });
    await store.paid(record, record).catch(() => undefined);
  }

  function retire(record: SessionRecord, cause: string, drain?: 'drain'): void {
    const work = end(record, cause, drain !== undefined).finally(() => running.delete(work));
    running.add(work);
  }

  return {
    due: (backend) => clock.now() + (backend?.drainMs ?? 0) + GRACE_MS,
    retire,
    async sweep() {
      const now = clock.now();
      for (const { key, record } of await store.overdue(now, now + 2 * GRACE_MS)) {
        if (record) retire(record, 'left behind by another replica');
        else events({ type: 'login_abandoned', key });
      }
    },
    async settled() {
      while (running.size > 0) await Promise.allSettled(running);
    },
  };
}
