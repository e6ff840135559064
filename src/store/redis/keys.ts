// The names of the keys. All that a script must change together for one client is in one hash slot, so that it works
// in a cluster, too.
import { createHash } from 'node:crypto';
import type { ClientId, ClientRef } from '../../identity/client.ts';
import type { SessionKey } from '../../session/record.ts';

/** The names of all keys. Where a name is made of a client, that is the ref of the client, except for `places`. */
export interface Keys {
  /** The store's epoch and the revocations. */
  readonly control: string;
  /** The store's clock. */
  readonly state: string;
  /** When the lease of each replica ends, and what each replica is. */
  readonly leases: string;
  readonly replicas: string;
  /** What each replica says of itself, as JSON, in a hash by its id. */
  readonly described: string;
  /** Open incidents of alerts, as JSON by their names; when the window of each ends; and what is silenced. */
  readonly incidents: string;
  readonly incidentsDue: string;
  /** Incidents that had to make room for others, to be told to be over. */
  readonly incidentsEvicted: string;
  /** When each spool of alerts has asked last. */
  readonly incidentSpools: string;
  readonly silences: string;
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
  /** The handles of the client, the one that was not used for the longest time first. */
  handles(owner: ClientRef): string;
  /** The tools that the client was let use in the last 90 days. May be dropped to make room. */
  tools(owner: ClientRef): string;
  /** The JSON-RPC ids that were used in one handle. */
  window(owner: ClientRef, handle: string): string;
  /** The session record. */
  session(key: SessionKey): string;
  /** The login lock of the session. */
  loginLock(key: SessionKey): string;
  /** The pending logouts of the session. */
  pendingLogouts(key: SessionKey): string;
  /** Rows of the superseded values of the session, and the order in which they came. */
  superseded(key: SessionKey): string;
  supersededOrder(key: SessionKey): string;
  /** The turn in which calls of the session wait for each other. */
  turn(key: SessionKey): string;
  /** The places for sessions of a client id of one issuer, not of a ref: the limit is for all its subjects. */
  places(issuer: string, client: ClientId): string;
  /** The calls that are under way at a backend, its logins of the last minute, and the failed logins of one account. */
  backendPlaces(backend: string): string;
  backendLogins(backend: string): string;
  failedLogins(backend: string, account: string): string;
  /** The first use of a DPoP proof. */
  proof(proof: string): string;
  /** A pattern that matches the names of all session records. */
  readonly allSessions: string;
}

/**
 * Makes the names. What stands in braces decides the hash slot in a cluster. Sessions and ledgers have the number of
 * the layout in their names: a release that reads another layout never sees them, and destroys nothing. What
 * guards, which are the epoch, the revocations and the proofs, is shared with releases before layout 2.
 */
export function createKeys(prefix: string): Keys {
  const of = (slot: string, rest: string) => `${prefix}:2:{${slot}}:${rest}`;
  return {
    control: `${prefix}:{control}`,
    state: `${prefix}:2:{control}:state`,
    leases: `${prefix}:2:{control}:leases`,
    replicas: `${prefix}:2:{control}:replicas`,
    described: `${prefix}:2:{control}:described`,
    incidents: `${prefix}:2:{alerts}:incidents`,
    incidentsDue: `${prefix}:2:{alerts}:due`,
    incidentSpools: `${prefix}:2:{alerts}:spools`,
    incidentsEvicted: `${prefix}:2:{alerts}:evicted`,
    silences: `${prefix}:2:{alerts}:silences`,
    due: `${prefix}:2:{control}:due`,
    ledger: (owner) => of(owner, 'ledger'),
    flight: (owner) => of(owner, 'flight'),
    revoked: (owner) => of(owner, 'revoked'),
    handles: (owner) => of(owner, 'handles'),
    tools: (owner) => of(owner, 'tools'),
    window: (owner, handle) => of(owner, `window:${handle}`),
    session: ({ owner, backend }) => of(owner, `session:${backend}`),
    loginLock: ({ owner, backend }) => of(owner, `lock:${backend}`),
    pendingLogouts: ({ owner, backend }) => of(owner, `pending:${backend}`),
    superseded: ({ owner, backend }) => of(owner, `superseded:${backend}`),
    supersededOrder: ({ owner, backend }) => of(owner, `superseded-order:${backend}`),
    turn: ({ owner, backend }) => of(owner, `turn:${backend}`),
    // A client id may be any text, even one that looks like another key, so its hash is used.
    places: (issuer, client) =>
      of(
        createHash('sha256')
          .update(JSON.stringify([issuer, client]))
          .digest('hex'),
        'places',
      ),
    backendPlaces: (backend) => of(`backend:${backend}`, 'places'),
    backendLogins: (backend) => of(`backend:${backend}`, 'logins'),
    failedLogins: (backend, account) => of(`backend:${backend}`, `failed:${account}`),
    proof: (proof) => `${prefix}:{${proof}}:proof`,
    // This pattern is for SCAN. The prefix has no wildcards: that is checked when the configuration is read.
    allSessions: `${prefix}:2:{*}:session:*`,
  };
}
