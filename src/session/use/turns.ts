// The turns in which the calls of one session wait for each other, for backends whose every answer replaces the
// cookie. A turn holds over all replicas: within this process by a mutex, between processes by a lease in the store.
import { randomUUID } from 'node:crypto';
import { createKeyedMutex } from '../../core/mutex.ts';
import { type SessionKey, sessionKey } from '../record.ts';
import type { SessionStore } from '../store.ts';

export interface Turns {
  /** Runs the work in the session's next turn. Answers `refused` when no turn came in time or the store failed. */
  run<T, R>(key: SessionKey, work: () => Promise<T>, refused: () => R): Promise<T | R>;
  /** Runs the work if nobody has the turn now. */
  runIfFree(key: SessionKey, work: () => Promise<void>): Promise<void>;
}

/** How long a turn stays taken when its process dies. A process that lives keeps it by asking again. */
const LEASE_MS = 10_000;
const KEEP_MS = 3000;
/** How long to wait, on average, before a turn that another replica has is tried again, and in all. */
const WAIT_MS = 25;
const LONGEST_WAIT_MS = 60_000;

export function createTurns(store: SessionStore): Turns {
  const mutex = createKeyedMutex();

  async function taken(key: SessionKey, who: string, limitMs: number): Promise<boolean> {
    const end = performance.now() + limitMs;
    while (!(await store.takeTurn(key, who, LEASE_MS))) {
      if (performance.now() >= end) return false;
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS * (0.5 + Math.random())));
    }
    return true;
  }

  async function inTurn<T, R>(key: SessionKey, work: () => Promise<T>, refused: () => R, limitMs: number) {
    const who = randomUUID();
    if (!(await taken(key, who, limitMs).catch(() => false))) return refused();
    const keep = setInterval(() => void store.takeTurn(key, who, LEASE_MS).catch(() => {}), KEEP_MS);
    try {
      return await work();
    } finally {
      clearInterval(keep);
      await store.giveTurn(key, who).catch(() => {});
    }
  }

  return {
    run: (key, work, refused) => mutex.run(sessionKey(key), () => inTurn(key, work, refused, LONGEST_WAIT_MS)),
    async runIfFree(key, work) {
      if (mutex.busy(sessionKey(key))) return;
      await mutex.run(sessionKey(key), () => inTurn(key, work, () => undefined, 0));
    },
  };
}
