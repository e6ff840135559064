// Everything that the connector keeps, behind one port. It has two adapters: the memory of this process, and Redis.
import type { AlertBoard } from '../alerts/board/board.ts';
import type { Clock } from '../core/clock.ts';
import type { FactsPort } from '../facts/port.ts';
import type { ProofLedger } from '../identity/access-tokens/dpop.ts';
import type { ControlPort } from '../session/control.ts';
import type { SessionLimits } from '../session/limits.ts';
import type { BackendQuotas } from '../session/quotas.ts';
import type { SessionStore } from '../session/store.ts';

/** What one replica says of itself to the others. Revisions are short hashes. */
export interface ReplicaDescription {
  /** Another one with every start. */
  id: string;
  host: string;
  version: string;
  /** RFC 3339. */
  started_at: string;
  policy: string;
  configuration: string;
  keyring: string;
  clock_skew_ms: number;
  /** The newest order about the policy that it knows, as it was authenticated; empty without one. */
  order: string;
  /** Why it does not decide with the policy that was ordered; empty where it does. */
  order_problem: string;
}

/** The parts of one store. They share the epoch that `control` reads. */
export interface Store {
  /**
   * The clock of the stamps that replicas share: that of the store, wherever the clock of this machine is. A
   * difference of a quarter of a second counts as none.
   */
  readonly clock: Clock;
  /** How far the store's clock is ahead of the clock of this machine, in milliseconds, as it was measured last. */
  readonly skewMs: number;
  /** Whether that is within the configured bound; else this replica is not ready. */
  readonly clockAgrees: boolean;
  readonly facts: FactsPort;
  readonly sessions: SessionStore;
  readonly limits: SessionLimits;
  readonly quotas: BackendQuotas;
  readonly proofs: ProofLedger;
  readonly control: ControlPort;
  /** Which alerts are known to all replicas; undefined where there is only this process. */
  readonly alerts: AlertBoard | undefined;
  /**
   * Tells what this replica is, and answers what all replicas that live have told, this one among them. Rejects when the
   * store does not answer.
   */
  replicas(self: ReplicaDescription): Promise<readonly ReplicaDescription[]>;
  /** Why the store could not be used last; undefined when it could. */
  readonly problem: string | undefined;
  /** Whether the store answers at present, for /readyz. */
  ready(): Promise<boolean>;
  close(): Promise<void>;
}
