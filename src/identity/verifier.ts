// The port behind which credentials are verified, and the rules that hold for all of them: which
// verifier is asked, and what a sender-constrained token must come with.
import type { Secret } from '../core/secret.ts';
import type { Client } from './client.ts';
import type { DpopVerifier } from './dpop.ts';

/** Why a credential was not accepted. For the audit log; the caller sees one answer for most of them. */
export type AuthFailure =
  | 'missing'
  | 'malformed'
  | 'unknown_key'
  | 'key_expired'
  | 'signature_invalid'
  | 'claims_invalid'
  | 'token_expired'
  | 'bound_token_as_bearer'
  | 'unbound_token_as_dpop'
  | 'sender_constraint_missing'
  | 'certificate_mismatch'
  | 'proof_missing'
  | 'proof_invalid'
  | 'proof_nonce'
  | 'proof_nonce_stale'
  | 'proof_replayed'
  | 'unavailable';

/** What came with a request to say who sends it. */
export interface Credential {
  scheme: 'bearer' | 'dpop';
  secret: Secret;
  /** The DPoP header. */
  proof: string | undefined;
  /** SHA-256 of the client certificate (DER), base64url, when the connection or a trusted proxy has one. */
  certificate: string | undefined;
  method: string;
  url: string;
  ip: string;
  network: string;
}

export type Verification = { ok: true; client: Client } | { ok: false; failure: AuthFailure; client?: Client };

/** What a token says about itself. `confirmation`: the keys it is bound to (RFC 7800 `cnf`). */
export type CredentialVerification =
  | { ok: true; client: Client; confirmation: { jkt?: string; x5t?: string } }
  | { ok: false; failure: AuthFailure };

export interface CredentialVerifier {
  /** Never throws. `unavailable` means the verifier could not decide (key server down), not that the token is bad. */
  verify(token: Secret): Promise<CredentialVerification>;
}

export interface Verifier {
  /** Never throws. A failure names the client when the token was good and what came with it was not. */
  verify(credential: Credential): Promise<Verification>;
  readonly dpop: DpopVerifier | undefined;
}

export interface VerifierOptions {
  keys?: CredentialVerifier;
  jwt?: CredentialVerifier;
  dpop?: DpopVerifier;
  /** Refuse credentials that anybody who has them can use. */
  strict: boolean;
}

/** A JWS in compact form goes to `jwt`, anything else to `keys`; a verifier that is not configured refuses. */
export function createVerifier({ keys, jwt, dpop, strict }: VerifierOptions): Verifier {
  return {
    dpop,
    async verify(credential) {
      const isJwt = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential.secret.reveal());
      const verifier = isJwt ? jwt : keys;
      if (!verifier) return { ok: false, failure: 'malformed' };
      const token = await verifier.verify(credential.secret);
      if (!token.ok) return token;
      const failure = await sender(credential, token, dpop, strict);
      return failure === undefined ? token : { ok: false, failure, client: token.client };
    },
  };
}

/** Whether the request comes from who the token is bound to. */
async function sender(
  credential: Credential,
  { confirmation: { jkt, x5t } }: Extract<CredentialVerification, { ok: true }>,
  dpop: DpopVerifier | undefined,
  strict: boolean,
): Promise<AuthFailure | undefined> {
  if (x5t !== undefined && credential.certificate !== x5t) return 'certificate_mismatch';
  if (jkt === undefined) {
    // RFC 9449 §7.1: the DPoP scheme is for tokens that are bound to a key.
    if (credential.scheme === 'dpop') return 'unbound_token_as_dpop';
    return strict && x5t === undefined ? 'sender_constraint_missing' : undefined;
  }
  if (credential.scheme !== 'dpop' || !dpop) return 'bound_token_as_bearer';
  const { proof, secret: token, method, url, ip, network } = credential;
  return dpop.check({ text: proof, method, url, accessToken: token.reveal(), thumbprint: jkt, ip, network });
}
