// What the session manager promises to the pipeline, and what it is made of.
import type { Account } from '../backend/accounts.ts';
import type { BackendPort, BackendTokenSecret } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { Bound } from '../decision/schema.ts';
import type { ClientRef } from '../identity/client.ts';
import type { Fingerprint, Sealer } from '../keyring/sealing.ts';
import type { ControlPort, Selector } from './control.ts';
import type { SessionEvents } from './events.ts';
import type { SessionLimits } from './limits.ts';
import type { SessionKey, SessionRecord } from './record.ts';
import type { SessionSnapshot, SessionStore } from './store.ts';

/** Whose session is meant, and the place a new one would be bound to. */
export interface SessionRequest {
  backend: BackendPort;
  owner: ClientRef;
  bound: Bound;
  /** With which it logs in, and whose sessions it may use. */
  account: Account;
  /** Most sessions the client id may have; undefined: any number. */
  limit?: number | undefined;
}

/** A session that may be used until `release`, which must be called exactly once. */
export interface AcquiredSession {
  record: SessionRecord;
  backendToken: BackendTokenSecret;
  release(): void;
}

export type Acquired =
  | { ok: true; session: AcquiredSession }
  | { ok: false; code: RefusalCode; detail: string; retryAfterSeconds?: number | undefined };

/** The refusal of a session, with what the audit log says about it. */
export const refusedSession = (code: RefusalCode, detail: string): Extract<Acquired, { ok: false }> => ({
  ok: false,
  code,
  detail,
});

/** What a decision saw of a session, and when (performance.now). */
export interface ObservedSession extends SessionSnapshot {
  at?: number;
}

export interface SessionManager {
  /**
   * What a decision may see of a stored session: nothing, when a revocation means it. Rejects
   * for a record that is another's: somebody has moved it. `at`: when the store was asked.
   */
  examine(key: SessionKey, seen: SessionSnapshot, at?: number): Promise<ObservedSession>;
  /**
   * The session the decision saw, or a new login when it saw none. What was revoked since is not
   * brought back. What somebody else has opened or rotated since is handed out only when it
   * is bound to the same place: no decision has looked at it.
   */
  acquire(request: SessionRequest, seen: ObservedSession): Promise<Acquired>;
  /** A session newer than the one seen: whoever comes first logs in, all others get the result. */
  rotate(request: SessionRequest, seen: ObservedSession, cause: string): Promise<Acquired>;
  /**
   * The backend changed the token in an answer: the same session, one generation on. When
   * someone rotated or revoked meanwhile their word holds, and the new token is logged out.
   */
  renew(session: AcquiredSession, backendToken: BackendTokenSecret): Promise<void>;
  /** Work of one session after the other, when its backend wants that; else at once. */
  inTurn<T>(request: SessionRequest, work: () => Promise<T>): Promise<T>;
  /** Whether the session was opened with this account, and with these credentials of it. */
  ofAccount(record: SessionRecord, account: Account): boolean;
  /** After it has returned, nothing of the old session is handed out. */
  revoke(backend: BackendPort, owner: ClientRef, cause: string): Promise<void>;
  /**
   * The same for every session a selector means. Answers how many were ended; what could not be ended
   * now is void all the same, and ended by a later sweep.
   */
  revokeAll(selector: Selector, cause: string): Promise<number>;
  /**
   * Logs out what replicas that are gone have left behind, and ends sessions that are past their time or
   * were revoked while a store or a backend did not answer.
   */
  sweep(): Promise<void>;
  /** Gives a sign of life for idle sessions whose backend wants one. */
  keepAlive(): Promise<void>;
  /** Begins to sweep and to send keep-alive requests from time to time; the function returned stops that. */
  start(): () => void;
  /** Waits for sessions that are being logged out. */
  settled(): Promise<void>;
  /** Logs out what would end with this process. */
  close(): Promise<void>;
}

export interface SessionManagerOptions {
  store: SessionStore;
  limits: SessionLimits;
  control: ControlPort;
  backends: ReadonlyMap<string, BackendPort>;
  sealer: Sealer;
  fingerprint: Fingerprint;
  clock: Clock;
  events: SessionEvents;
  /** When a session that nobody uses is past its time, in milliseconds since the epoch. */
  endsAt: (record: SessionRecord) => number;
}
