// Who calls. A client is issuer + subject + client id: stable identity, never token bytes, so
// that a normal token refresh keeps the session and a stolen transport does not become one.
import { createHash } from 'node:crypto';

declare const brand: unique symbol;

/** A client id as its issuer gave it. Two issuers may give the same one, so it finds nothing in a store. */
export type ClientId = string & { readonly [brand]: 'ClientId' };

/** The key under which everything of one client is looked up: `Client.ref`. */
export type ClientRef = string & { readonly [brand]: 'ClientRef' };

export type AuthMethod = 'key' | 'jwt' | 'dpop' | 'mtls';

/** The authenticated MCP caller. Frozen; shared by all calls that present the same credential. */
export interface Client {
  readonly id: ClientId;
  readonly subject: string;
  readonly issuer: string;
  readonly roles: string[];
  readonly scopes: string[];
  /** Claims of its token that the configuration of a backend names; nothing for an API key. */
  readonly claims: Readonly<Record<string, string>>;
  readonly auth: {
    readonly method: AuthMethod;
    /** Milliseconds since the epoch; null when the credential does not say. */
    readonly issuedAt: number | null;
    readonly expiresAt: number | null;
    /** Thumbprint of the key whose possession was proven; null for plain bearer credentials. */
    readonly key: string | null;
  };
  /** SHA-256 over issuer, subject and id: the owner under which everything is looked up. */
  readonly ref: ClientRef;
}

export function createClient({
  claims = {},
  id,
  ...parts
}: Omit<Client, 'ref' | 'claims' | 'id'> & Partial<Pick<Client, 'claims'>> & { id: string }): Client {
  // JSON keeps the three apart: "a" + "bc" and "ab" + "c" must not meet.
  const ref = createHash('sha256')
    .update(JSON.stringify([parts.issuer, parts.subject, id]))
    .digest('hex') as ClientRef;
  return Object.freeze({
    ...parts,
    id: id as ClientId,
    claims: Object.freeze(claims),
    auth: Object.freeze({ ...parts.auth }),
    ref,
  });
}
