// Facts in this process. The ledger of a client is read, changed and written under its own lock, so
// that observing is one step however many calls arrive at once.
import type { Clock } from '../../core/clock.ts';
import { createKeyedMutex } from '../../core/mutex.ts';
import { createLedger, finish, handleState, type Ledger, observe, openHandle } from '../../facts/ledger.ts';
import type { FactsPort } from '../../facts/port.ts';
import { createMemoryKeyv } from './keyv.ts';

export interface MemoryFactsOptions {
  clock: Clock;
  /** Most clients remembered at once. */
  clients: number;
  /** How long a client is remembered after its last call; at least as long as its handles live. */
  ttlMs: number;
}

/** An entry is kept by reference, so changing it needs no write; its time to live is renewed now and then. */
interface Entry {
  ledger: Ledger;
  renewed: number;
}

const RENEW_MS = 60_000;

export function createMemoryFacts({ clock, clients, ttlMs }: MemoryFactsOptions): FactsPort {
  const entries = createMemoryKeyv<Entry>('facts', clients);
  const mutex = createKeyedMutex();
  const change = <T>(client: string, use: (ledger: Ledger, now: number) => T): Promise<T> =>
    mutex.run(client, async () => {
      const now = clock.now();
      const entry = (await entries.get(client)) ?? { ledger: createLedger(), renewed: Number.NEGATIVE_INFINITY };
      if (now - entry.renewed >= RENEW_MS) {
        entry.renewed = now;
        await entries.set(client, entry, ttlMs + RENEW_MS);
      }
      return use(entry.ledger, now);
    });

  return {
    observe: (observation) => change(observation.client, (ledger, now) => observe(ledger, observation, now)),
    finished: (client, { denied }) => change(client, (ledger, now) => finish(ledger, denied, now)),
    openHandle: (client, handle) => change(client, (ledger) => openHandle(ledger, handle)),
    handleState: (client, handle) => change(client, (ledger) => handleState(ledger, handle)),
  };
}
