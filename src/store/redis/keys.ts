// Names of keys. Everything of one client is in one slot, so that a script may touch all of it in a
// cluster too.
import { createHash } from 'node:crypto';
import type { ClientId, ClientRef } from '../../identity/client.ts';
import type { SessionKey } from '../../session/record.ts';

export interface Keys {
  readonly control: string;
  /** Sessions that have debts, by the time the first is due. */
  readonly due: string;
  ledger(owner: ClientRef): string;
  flight(owner: ClientRef): string;
  revoked(owner: ClientRef): string;
  window(owner: ClientRef, handle: string): string;
  session(key: SessionKey): string;
  loginLock(key: SessionKey): string;
  pendingLogouts(key: SessionKey): string;
  places(client: ClientId): string;
  proof(proof: string): string;
  readonly allSessions: string;
}

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
    loginLock: ({ owner, backend }) => of(owner, `claim:${backend}`),
    pendingLogouts: ({ owner, backend }) => of(owner, `debts:${backend}`),
    // A client id may hold anything, also what looks like another key.
    places: (client) => of(createHash('sha256').update(client).digest('hex'), 'places'),
    proof: (proof) => of(proof, 'proof'),
    // A pattern for SCAN: the prefix is checked to have no wildcards when the configuration is read.
    allSessions: `${prefix}:{*}:session:*`,
  };
}
