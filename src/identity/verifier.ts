// The port behind which credentials are verified, and the rule that picks the verifier.
import type { Secret } from '../core/secret.ts';
import type { Client } from './client.ts';

/** Why a credential was not accepted. For the audit log; the caller sees one answer for all of them. */
export type AuthFailure =
  | 'missing'
  | 'malformed'
  | 'unknown_key'
  | 'key_expired'
  | 'signature_invalid'
  | 'claims_invalid'
  | 'token_expired'
  | 'bound_token_as_bearer'
  | 'unavailable';

export type Verification = { ok: true; client: Client } | { ok: false; failure: AuthFailure };

export interface Verifier {
  /** Never throws. `unavailable` means the verifier could not decide (key server down), not that the token is bad. */
  verify(token: Secret): Promise<Verification>;
}

/** A JWS in compact form goes to `jwt`, anything else to `keys`; a verifier that is not configured refuses. */
export function createVerifier({ keys, jwt }: { keys?: Verifier; jwt?: Verifier }): Verifier {
  return {
    async verify(token) {
      const isJwt = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token.reveal());
      const verifier = isJwt ? jwt : keys;
      return verifier ? verifier.verify(token) : { ok: false, failure: 'malformed' };
    },
  };
}
