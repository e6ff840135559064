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

export function createMemoryFacts({ clock, clients, ttlMs }: MemoryFactsOptions): FactsPort {
  const ledgers = createMemoryKeyv<Ledger>('facts', clients);
  const mutex = createKeyedMutex();
  const change = <T>(client: string, use: (ledger: Ledger) => T): Promise<T> =>
    mutex.run(client, async () => {
      const ledger = (await ledgers.get(client)) ?? createLedger();
      const result = use(ledger);
      await ledgers.set(client, ledger, ttlMs);
      return result;
    });

  return {
    observe: (observation) => change(observation.client, (ledger) => observe(ledger, observation, clock.now())),
    finished: (client, { denied }) => change(client, (ledger) => finish(ledger, denied, clock.now())),
    openHandle: (client, handle) => change(client, (ledger) => openHandle(ledger, handle)),
    handleState: (client, handle) => change(client, (ledger) => handleState(ledger, handle)),
  };
}
