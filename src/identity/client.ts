// The identity of the authenticated client: issuer, subject and client id. It never depends on the bytes
// of a credential, so a normal refresh of an access token keeps the session, and whoever has stolen only a handle
// or a connection does not become the client.
import { createHash } from 'node:crypto';

declare const brand: unique symbol;

/** A client id as its issuer gave it. Two issuers may give the same one, so it finds nothing in a store. */
export type ClientId = string & { readonly [brand]: 'ClientId' };

/** The key under which everything of one client is looked up: `Client.ref`. */
export type ClientRef = string & { readonly [brand]: 'ClientRef' };

/**
 * How the client proved who it is: API key, bearer access token, access token with DPoP proof, or access token
 * bound to a certificate.
 */
export type AuthMethod = 'key' | 'jwt' | 'dpop' | 'mtls';

/** The value of a claim or attribute that policies may read. */
export type PolicyClaim = string | number | boolean | string[];

/** The authenticated MCP client. All calls that present the same credential may share one object. */
export interface Client {
  readonly id: ClientId;
  readonly subject: string;
  readonly issuer: string;
  readonly roles: string[];
  readonly scopes: string[];
  /** Claims of its access token that the configuration of a backend names. Empty for an API key. */
  readonly claims: Readonly<Record<string, string>>;
  /** What policies may read of its credential: claims of the access token, or attributes of the client with an API key. */
  readonly policyClaims?: Readonly<Record<string, PolicyClaim>> | undefined;
  readonly auth: {
    readonly method: AuthMethod;
    /** Milliseconds since 1970; null when the credential does not say. */
    readonly issuedAt: number | null;
    readonly expiresAt: number | null;
    /** Thumbprint of the key or certificate whose possession was proven; null for plain bearer credentials. */
    readonly key: string | null;
    /** Names the key of the credential in records: of an API key the beginning of its hash, of a token the issuer's key. */
    readonly keyId?: string | undefined;
  };
  /** SHA-256 over issuer, subject and id. Sessions, handles and facts are kept and looked up under it. */
  readonly ref: ClientRef;
}

/** Makes a client and computes its `ref`. */
export function createClient({
  claims = {},
  id,
  ...parts
}: Omit<Client, 'ref' | 'claims' | 'id'> & Partial<Pick<Client, 'claims'>> & { id: string }): Client {
  // JSON keeps the three values apart. Joined as plain text, "a" + "bc" and "ab" + "c" would give two clients the
  // same ref.
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

/** The parts of a client that a record names it by. */
export const clientFields = ({ id, subject, issuer }: Client): Pick<Client, 'id' | 'subject' | 'issuer'> => ({
  id,
  subject,
  issuer,
});
