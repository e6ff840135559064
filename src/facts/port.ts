// The policy information point. It counts a call and tells what is known about its client in one atomic step, so that
// no other call comes between the check and the record.
import type { ReplayFacts, UsageFacts } from '../decision/schema.ts';
import type { ClientRef } from '../identity/client.ts';
import type { SessionKey } from '../session/record.ts';
import type { SessionSnapshot } from '../session/store.ts';

/** A JSON-RPC id as the client sent it. */
export type RpcId = string | number;

/** What a call brings with it. All of it is counted, whatever is decided afterwards. */
export interface Observation {
  /** Unique name of the call, for `finished`. */
  call: string;
  /** The client's ref. Everything is kept under this key, and its size is bounded for each client. */
  owner: ClientRef;
  /** The network of the client's address, by which places are compared. */
  network: string;
  /** The handle and the JSON-RPC id; null for a call that came without a handle. */
  rpc: { handle: string; id: RpcId } | null;
  /** The backend whose session the call would use; null for a call that the connector refuses without one. */
  backend: string | null;
  /** The tool, whose use by the client is among the facts; null for a call that the connector refuses without one. */
  tool?: string | null;
}

/** What is known about a client, with the present call counted. */
export interface Facts {
  usage: UsageFacts;
  replay: ReplayFacts;
  /** When that was, by the clock that the replicas share, in milliseconds since 1970. */
  now: number;
  /** The stored session with the backend, read in the same step that counted the call. */
  storedSession: SessionSnapshot;
  /** How the session was used before this call. It is null exactly when there is no stored session. */
  session: { idle_seconds: number; token_uses: number } | null;
}

/** The use of a session: its id, the uses of its backend token (the login is the first), and when it was used last. */
export interface SessionUse {
  id: string;
  uses: number;
  lastUsed: number;
}

/** How a call ended, as far as the facts count it. */
export interface CallEnding {
  denied: boolean;
  refusedPlace?: string | undefined;
  /** The tool of a call that was let through: it counts as used. */
  used?: string | undefined;
}

/** `unknown` means that the client has no such handle, or that the handle cannot tell a replay any more. */
export type HandleState = 'known' | 'unknown';

/**
 * Every method rejects when the store cannot answer in time. Nothing is decided on facts that are not there: the
 * connector refuses the call.
 */
export interface FactsPort {
  /** Counts the call and uses its JSON-RPC id, and answers the facts, in one atomic step. */
  observe(observation: Observation): Promise<Facts>;
  /**
   * Notes that the call has ended. It must be called for every call for which `observe` was begun, also when that
   * rejected: the call may have been counted all the same. `denied` is true for a call that was denied by the policy,
   * and for one that the connector refused before it was let through. `refusedPlace` is the network of a call that was
   * denied for the place it came from: that network is not in use by the client (see `UsageFacts`).
   */
  finished(owner: ClientRef, call: string, ending: CallEnding): Promise<void>;
  /** How the session with a backend was used so far; undefined where nothing is remembered of it. Counts nothing. */
  sessionUse(key: SessionKey): Promise<SessionUse | undefined>;
  /** Remembers a handle that was just minted. */
  openHandle(owner: ClientRef, handle: string): Promise<void>;
  /**
   * Whether the handle belongs to this client and can still tell a replay. `minted` is the mark of the epoch in which
   * the handle was minted; see `epochMark`. A handle of an epoch whose history was lost goes on, but the facts of its
   * calls say so for as long as it lives; and only while no handle of its client was forgotten or used up in the
   * present epoch.
   */
  handleState(owner: ClientRef, handle: string, minted: string): Promise<HandleState>;
}
