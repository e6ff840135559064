// The store of a single process. Replicas need the one in ../redis.
import type { Clock } from '../../core/clock.ts';
import type { Store } from '../store.ts';
import { createMemoryControl } from './control.ts';
import { createMemoryFacts, type MemoryFacts } from './facts.ts';
import { createMemoryLimits } from './limits.ts';
import { createMemoryProofs } from './proofs.ts';
import { createMemoryQuotas } from './quotas.ts';
import { createMemorySessions } from './sessions.ts';

/** The bounds of a store in memory. What goes beyond them is refused. */
export interface MemoryStoreOptions {
  clock: Clock;
  /** Most clients that are remembered at the same time, and most sessions. */
  clients: number;
  sessions: number;
  /** How long a client is remembered after its last call, in milliseconds. */
  ttlMs: number;
}

/** Makes an empty store, which ends with this process. */
export function createMemoryStore({ clock, clients, sessions: most, ttlMs }: MemoryStoreOptions): Store {
  let facts: MemoryFacts;
  const sessions = createMemorySessions({
    clock,
    sessions: most,
    drained: (owner, limitMs) => facts.drained(owner, limitMs),
  });
  const control = createMemoryControl(clock);
  facts = createMemoryFacts({ clock, clients, ttlMs, session: sessions.peek, control });
  return {
    clock,
    skewMs: 0,
    clockAgrees: true,
    problem: undefined,
    facts,
    sessions,
    limits: createMemoryLimits(clock, async (key) => (await sessions.get(key)).record !== undefined),
    quotas: createMemoryQuotas(clock),
    proofs: createMemoryProofs(clock),
    control,
    alerts: undefined,
    replicas: async (self) => [self],
    ready: async () => true,
    close: async () => {},
  };
}
