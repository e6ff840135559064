// What the session manager promises to the pipeline, and what it is made of.

import type { Account } from '../backend/accounts.ts';
import type { BackendPort, BackendTokenSecret, Changes } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { Bound } from '../decision/schema.ts';
import type { ClientRef } from '../identity/client.ts';
import type { Fingerprint, Sealer } from '../keyring/sealing.ts';
import type { ControlPort, Selector } from './control.ts';
import type { OpenEntries } from './end/open-entries.ts';
import type { Cause, SessionEvents } from './events.ts';
import type { SessionLimits } from './limits.ts';
import type { BackendQuotas } from './quotas.ts';
import type { SessionKey, SessionRecord } from './record.ts';
import type { SessionSnapshot, SessionStore } from './store.ts';

/** Which session a call needs: its owner and backend, and the place that a new session would be bound to. */
export interface SessionRequest {
  backend: BackendPort;
  owner: ClientRef;
  /** The issuer of the client; see `SessionRecord.issuer`. */
  issuer: string;
  bound: Bound;
  /**
   * The backend account for a login. Whether the observed session was opened with it is what `ofAccount` answers; any
   * other session is handed out only if it was.
   */
  account: Account;
  /** Most sessions that the client id of this issuer may have at the same time; undefined means any number. */
  limit?: number | undefined;
  /** Id of the decision of the call that asks, which the events name. */
  decision?: string | undefined;
}

/**
 * A session that a call may use until it calls `release`, which it must do exactly once. A logout of the backend
 * token waits for that, for at most the backend's drain time.
 */
export interface AcquiredSession {
  record: SessionRecord;
  backendToken: BackendTokenSecret;
  release(): void;
}

/** The session, or why there is none. `code` goes to the client; `detail` is for the audit log only. */
export type Acquired =
  | { ok: true; session: AcquiredSession }
  | { ok: false; code: RefusalCode; detail: string; retryAfterSeconds?: number | undefined };

/** The refusal of a session, with what the audit log says about it. */
export const refusedSession = (code: RefusalCode, detail: string): Extract<Acquired, { ok: false }> => ({
  ok: false,
  code,
  detail,
});

/**
 * A session as a decision observed it. `at` is the time when the store was asked, by `performance.now()`. `forgotten`:
 * the store has lost, or somebody has taken away, what was known of the session, so it is not used any more.
 */
export interface ObservedSession extends SessionSnapshot {
  at?: number;
  forgotten?: true;
}

/** Gives decided calls their sessions, and ends sessions, on any number of replicas. */
export interface SessionManager {
  /**
   * Answers what a decision may observe of a stored session. A session that a revocation means is ended first, and
   * what is stored after that is answered. A row that went back or makes no sense is not used: what can be
   * logged out is, and there is no session. Rejects for a record of another owner, because somebody has moved
   * it, and when a revoked session does not end. `at` is when the store was asked, by `performance.now()`.
   */
  examine(key: SessionKey, observed: SessionSnapshot, at?: number): Promise<ObservedSession>;
  /** Reads the session once more and answers the same about it. Rejects when the store does not answer, too. */
  look(key: SessionKey): Promise<ObservedSession>;
  /**
   * Hands out the session that the decision observed, or logs in when it observed none. What was revoked since is not
   * brought back. What another call has opened or rotated since is handed out only when it is bound to the
   * same place, because no decision has looked at it.
   */
  acquire(request: SessionRequest, observed: ObservedSession): Promise<Acquired>;
  /**
   * Hands out a session of a newer login than the one observed. The first call to ask logs in, and all others get its
   * result. With `anyNewer` a newer value of the same login will do, as when the backend did not accept the
   * value observed and may have renewed it.
   */
  rotate(request: SessionRequest, observed: ObservedSession, cause: Cause, anyNewer?: boolean): Promise<Acquired>;
  /**
   * Takes in what the answers of a call have changed. A new backend token is the next generation of the
   * same session. When another call has rotated or revoked the session meanwhile, that holds, and the new token is
   * logged out. `ended`: the last answer said that the session has ended.
   */
  changed(session: AcquiredSession, changes: Changes, ended: boolean, decision?: string): Promise<void>;
  /**
   * Runs the work of one session one after the other, over all replicas, when its backend needs that; else at once.
   */
  inTurn<T>(request: SessionRequest, work: () => Promise<T>): Promise<T | Extract<Acquired, { ok: false }>>;
  /** Whether the session was opened with this account and with its present credentials. */
  ofAccount(record: SessionRecord, account: Account): boolean;
  /**
   * Ends the session. After it has returned, this replica hands out nothing of the old session; a call on another
   * replica that observed it less than 100 ms before may still be sent.
   */
  revoke(backend: BackendPort, owner: ClientRef, cause: Cause): Promise<void>;
  /**
   * Ends every session that the selector means, and answers how many were ended. A session that could not be
   * ended now is void all the same, and a later sweep ends it.
   */
  revokeAll(selector: Selector, cause: Cause): Promise<number>;
  /**
   * Logs out what replicas that are gone have left behind, and ends sessions that are past their time or
   * were revoked while a store or a backend did not answer.
   */
  sweep(): Promise<void>;
  /** Sends a keep-alive request for each idle session whose backend wants one. */
  keepAlive(): Promise<void>;
  /** Begins to sweep and to send keep-alive requests from time to time; the function returned stops that. */
  start(): () => void;
  /** Waits until the logouts that this process has begun are over. */
  settled(): Promise<void>;
  /** Stops further logins, and logs out the sessions that would end with this process. */
  close(): Promise<void>;
}

/** The ports and functions that the session manager works with. */
export interface SessionManagerOptions {
  store: SessionStore;
  limits: SessionLimits;
  quotas: BackendQuotas;
  control: ControlPort;
  backends: ReadonlyMap<string, BackendPort>;
  sealer: Sealer;
  fingerprint: Fingerprint;
  /** Where the logins of this replica that have not ended are noted, outside the store. */
  entries: OpenEntries;
  clock: Clock;
  events: SessionEvents;
  /**
   * When a session that nobody uses is past its time, in milliseconds since 1970; Infinity when the policy
   * lets it live.
   */
  endsAt: (record: SessionRecord) => number;
}
