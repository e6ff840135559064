// Who calls. A client is issuer + subject + client id: stable identity, never token bytes, so
// that a normal token refresh keeps the session and a stolen transport does not become one.
import { createHash } from 'node:crypto';

export type AuthMethod = 'key' | 'jwt' | 'dpop' | 'mtls';

/** The authenticated MCP caller. Frozen; shared by all calls that present the same credential. */
export interface Client {
  readonly id: string;
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
  readonly ref: string;
}

export function createClient({
  claims = {},
  ...parts
}: Omit<Client, 'ref' | 'claims'> & Partial<Pick<Client, 'claims'>>): Client {
  // JSON keeps the three apart: "a" + "bc" and "ab" + "c" must not meet.
  const ref = createHash('sha256')
    .update(JSON.stringify([parts.issuer, parts.subject, parts.id]))
    .digest('hex');
  return Object.freeze({ ...parts, claims: Object.freeze(claims), auth: Object.freeze({ ...parts.auth }), ref });
}
