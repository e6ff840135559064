// Names of keys. Everything of one client is in one slot, so that a script may touch all of it in a
// cluster too.
import { createHash } from 'node:crypto';
import type { SessionKey } from '../../session/record.ts';

export interface Keys {
  readonly control: string;
  /** Sessions that have debts, by the time the first is due. */
  readonly due: string;
  ledger(client: string): string;
  flight(client: string): string;
  revoked(client: string): string;
  window(client: string, handle: string): string;
  session(key: SessionKey): string;
  loginLock(key: SessionKey): string;
  pendingLogouts(key: SessionKey): string;
  places(client: string): string;
  proof(proof: string): string;
  readonly allSessions: string;
}

export function createKeys(prefix: string): Keys {
  const of = (client: string, rest: string) => `${prefix}:{${client}}:${rest}`;
  return {
    control: `${prefix}:{control}`,
    due: `${prefix}:{control}:due`,
    ledger: (client) => of(client, 'ledger'),
    flight: (client) => of(client, 'flight'),
    revoked: (client) => of(client, 'revoked'),
    window: (client, handle) => of(client, `window:${handle}`),
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
