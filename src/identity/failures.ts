// Why a credential was not accepted, as the audit log tells it, and what its sender is told.

/** What the challenge of a 401 answer says (RFC 6750 §3.1, RFC 9449 §7.1 and §9). */
export type ChallengeError = 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce';

/**
 * Every way in which a credential can fail, with the error its sender gets. Most get the same one, so that nobody
 * can probe for what was wrong. A request without a credential gets a challenge without an error, and `unavailable`
 * is answered 503: then nothing is known of the credential.
 */
export const AUTH_FAILURES = {
  missing: 'invalid_token',
  malformed: 'invalid_token',
  unknown_key: 'invalid_token',
  key_expired: 'invalid_token',
  signature_invalid: 'invalid_token',
  claims_invalid: 'invalid_token',
  token_expired: 'invalid_token',
  bound_token_as_bearer: 'invalid_token',
  unbound_token_as_dpop: 'invalid_token',
  sender_constraint_missing: 'invalid_token',
  certificate_mismatch: 'invalid_token',
  proof_missing: 'invalid_dpop_proof',
  proof_invalid: 'invalid_dpop_proof',
  proof_nonce: 'use_dpop_nonce',
  proof_nonce_stale: 'use_dpop_nonce',
  proof_replayed: 'invalid_dpop_proof',
  unavailable: 'invalid_token',
} as const satisfies Record<string, ChallengeError>;

export type AuthFailure = keyof typeof AUTH_FAILURES;

/**
 * The check of an access token that failed: `format` (not a JWS at all), `alg`, `kid` (no such key), `signature`,
 * `typ` (header), a claim by its name, or one of the claims that the configuration names.
 */
export type JwtCheck =
  | 'format'
  | 'alg'
  | 'kid'
  | 'signature'
  | 'typ'
  | 'iss'
  | 'aud'
  | 'sub'
  | 'exp'
  | 'nbf'
  | 'iat'
  | 'cnf'
  | 'client_id'
  | 'roles'
  | 'scopes';

/** The check of a DPoP proof that failed (RFC 9449 §4.3); `length` is a limit of ours. */
export type ProofCheck =
  | 'length'
  | 'format'
  | 'typ'
  | 'alg'
  | 'jwk'
  | 'signature'
  | 'jti'
  | 'htm'
  | 'htu'
  | 'iat'
  | 'ath'
  | 'jkt';

/** `check` names what exactly failed where `failure` covers several checks. For the audit log, never for a client. */
export interface RefusedCredential {
  ok: false;
  failure: AuthFailure;
  check?: JwtCheck | ProofCheck;
}

export const refusedCredential = (failure: AuthFailure, check?: JwtCheck | ProofCheck): RefusedCredential => ({
  ok: false,
  failure,
  ...(check !== undefined && { check }),
});
