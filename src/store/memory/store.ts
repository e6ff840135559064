// The store of a single process. Replicas need the one in ../redis.
import type { Clock } from '../../core/clock.ts';
import type { SessionKey } from '../../session/record.ts';
import type { Store } from '../store.ts';
import { createMemoryControl } from './control.ts';
import { createMemoryFacts, type MemoryFacts } from './facts.ts';
import { createMemoryLimits } from './limits.ts';
import { createMemoryProofs } from './proofs.ts';
import { createMemorySessions } from './sessions.ts';

export interface MemoryStoreOptions {
  clock: Clock;
  /** Most clients remembered at once, and most sessions. */
  clients: number;
  sessions: number;
  /** How long a client is remembered after its last call. */
  ttlMs: number;
}

export function createMemoryStore({ clock, clients, sessions: most, ttlMs }: MemoryStoreOptions): Store {
  let facts: MemoryFacts;
  const sessions = createMemorySessions({
    clock,
    sessions: most,
    drained: (owner, limitMs) => facts.drained(owner, limitMs),
  });
  facts = createMemoryFacts({ clock, clients, ttlMs, session: (key: SessionKey) => sessions.get(key) });
  return {
    facts,
    sessions,
    limits: createMemoryLimits(clock, async (key) => (await sessions.get(key)).record !== undefined),
    proofs: createMemoryProofs(clock),
    control: createMemoryControl(clock),
    ready: async () => true,
    close: async () => {},
  };
}
