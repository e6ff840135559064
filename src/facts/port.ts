// The policy information point: counts a call and tells what is known about its client, in one
// atomic step, so that there is no gap between check and record.
import type { ReplayFacts, UsageFacts } from '../decision/schema.ts';
import type { ClientRef } from '../identity/client.ts';
import type { SessionSnapshot } from '../session/store.ts';

export type RpcId = string | number;

/** What a call brings with it. All of it is counted, whatever is decided afterwards. */
export interface Observation {
  /** Unique name of the call, for `finished`. */
  call: string;
  /** Everything is kept under this key, and bounded for it. */
  owner: ClientRef;
  network: string;
  /** Handle and JSON-RPC id, when the call came with a handle. */
  rpc: { handle: string; id: RpcId } | null;
  /** Backend whose session the call would use; null for a call that is refused without one. */
  backend: string | null;
}

export interface Facts {
  usage: UsageFacts;
  replay: ReplayFacts;
  /** The stored session with the backend, as it was in the moment of counting. */
  storedSession: SessionSnapshot;
  /** How the session was used before this call. Null exactly when there is none. */
  session: { idle_seconds: number; token_uses: number } | null;
}

export type HandleState = 'known' | 'unknown';

/** Every method rejects when the store cannot answer in time; the caller refuses the call. */
export interface FactsPort {
  observe(observation: Observation): Promise<Facts>;
  /**
   * The call has ended. To be told of every call for which `observe` was begun, also when it was
   * rejected: it may have been counted all the same.
   */
  finished(owner: ClientRef, call: string, ending: { denied: boolean }): Promise<void>;
  /** Remembers a handle that was just minted. */
  openHandle(owner: ClientRef, handle: string): Promise<void>;
  /** Whether this client has this handle and it can still tell a replay. */
  handleState(owner: ClientRef, handle: string): Promise<HandleState>;
}
