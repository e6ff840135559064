// Everything that the connector keeps, behind one port. It has two adapters: the memory of this process, and Redis.
import type { FactsPort } from '../facts/port.ts';
import type { ProofLedger } from '../identity/dpop.ts';
import type { ControlPort } from '../session/control.ts';
import type { SessionLimits } from '../session/limits.ts';
import type { SessionStore } from '../session/store.ts';

/** The parts of one store. They share the epoch that `control` reads. */
export interface Store {
  readonly facts: FactsPort;
  readonly sessions: SessionStore;
  readonly limits: SessionLimits;
  readonly proofs: ProofLedger;
  readonly control: ControlPort;
  /** Whether the store answers at present, for /readyz. */
  ready(): Promise<boolean>;
  close(): Promise<void>;
}
