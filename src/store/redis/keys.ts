// The names of the keys. All that a script must change together for one client is in one hash slot, so that it works
// in a cluster, too.
import { createHash } from 'node:crypto';
import type { ClientId, ClientRef } from '../../identity/client.ts';
import type { SessionKey } from '../../session/record.ts';

/** The names of all keys. Where a name is made of a client, that is the ref of the client, except for `places`. */
export interface Keys {
  /** The store's epoch and the revocations. */
  readonly control: string;
  /**
   * Reminders of the sessions that somebody has to look at, by time: for a pending logout, for a login whose lease
   * ends, or for the end of the session.
   */
  readonly due: string;
  /** What is remembered about the client; see ledger.lua.ts. */
  ledger(owner: ClientRef): string;
  /** The calls of the client that are under way. */
  flight(owner: ClientRef): string;
  /** How often each of the client's sessions was revoked, by backend. */
  revoked(owner: ClientRef): string;
  /** The JSON-RPC ids that were used in one handle. */
  window(owner: ClientRef, handle: string): string;
  /** The session record. */
  session(key: SessionKey): string;
  /** The login lock of the session. */
  loginLock(key: SessionKey): string;
  /** The pending logouts of the session. */
  pendingLogouts(key: SessionKey): string;
  /** The places for sessions of a client id, not of a ref: the limit is for all its subjects. */
  places(client: ClientId): string;
  /** The first use of a DPoP proof. */
  proof(proof: string): string;
  /** A pattern that matches the names of all session records. */
  readonly allSessions: string;
}

/** Makes the names. What stands in braces decides the hash slot in a cluster. */
export function createKeys(prefix: string): Keys {
  const of = (slot: string, rest: string) => `${prefix}:{${slot}}:${rest}`;
  return {
    control: `${prefix}:{control}`,
    due: `${prefix}:{control}:due`,
    ledger: (owner) => of(owner, 'ledger'),
    flight: (owner) => of(owner, 'flight'),
    revoked: (owner) => of(owner, 'revoked'),
    window: (owner, handle) => of(owner, `window:${handle}`),
    session: ({ owner, backend }) => of(owner, `session:${backend}`),
    // The names "claim" and "debts" are those of the layout, which older code gave them.
    loginLock: ({ owner, backend }) => of(owner, `claim:${backend}`),
    pendingLogouts: ({ owner, backend }) => of(owner, `debts:${backend}`),
    // A client id may be any text, even one that looks like another key, so its hash is used.
    places: (client) => of(createHash('sha256').update(client).digest('hex'), 'places'),
    proof: (proof) => of(proof, 'proof'),
    // This pattern is for SCAN. The prefix has no wildcards: that is checked when the configuration is read.
    allSessions: `${prefix}:{*}:session:*`,
  };
}
