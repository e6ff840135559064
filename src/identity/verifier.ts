// The port for verifying credentials, and the rules that hold for all of them: which verifier is asked, and what
// a sender-constrained access token must come with.
import type { Secret } from '../core/secret.ts';
import type { DpopVerifier } from './access-tokens/dpop.ts';
import type { Client } from './client.ts';
import { type RefusedCredential, refusedCredential } from './failures.ts';

/** Everything in a request that says who sends it, and the request itself, which a DPoP proof must match. */
export interface Credential {
  scheme: 'bearer' | 'dpop';
  secret: Secret;
  /** The DPoP header as received; undefined when there is none. */
  proof: string | undefined;
  /**
   * SHA-256 of the client certificate (DER) in base64url; undefined when neither the connection nor a trusted
   * proxy presents one.
   */
  certificate: string | undefined;
  method: string;
  url: string;
  ip: string;
  network: string;
}

/** The client behind a credential, or why it was not accepted. */
export type Verification = { ok: true; client: Client } | FailedVerification;

/** `client`: the one whose credential was good although the proof or certificate that came with it was not. */
export type FailedVerification = RefusedCredential & { client?: Client };

/**
 * What a credential says by itself, before the sender is checked. `confirmation` holds the thumbprints of the key
 * (`jkt`) and certificate (`x5t`) it is bound to (RFC 7800 `cnf`).
 */
export type CredentialVerification =
  | { ok: true; client: Client; confirmation: { jkt?: string; x5t?: string } }
  | RefusedCredential;

/** Verifies one kind of credential: API keys or access tokens. */
export interface CredentialVerifier {
  /**
   * Never throws. `unavailable` means that the verifier could not decide (its key server is down), not that the
   * credential is bad.
   */
  verify(token: Secret): Promise<CredentialVerification>;
}

/** Verifies whatever credential a request came with, including the proof that its sender may use it. */
export interface Verifier {
  /**
   * Never throws. A failure names the client when the credential was good but the proof or certificate that came
   * with it was not.
   */
  verify(credential: Credential): Promise<Verification>;
  /** Set when access tokens are configured, so that challenges can offer DPoP. */
  readonly dpop: DpopVerifier | undefined;
}

/** The configured verifiers. */
export interface VerifierOptions {
  keys?: CredentialVerifier;
  jwt?: CredentialVerifier;
  dpop?: DpopVerifier;
  /**
   * Accept only sender-constrained credentials: a plain bearer credential works for anybody who has it.
   */
  strict: boolean;
}

/** Whether a credential has the form of a signed access token. */
export const isCompactJws = (secret: Secret): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(secret.reveal());

/**
 * Creates the verifier. A credential with the form of a compact JWS goes to `jwt`, any other to `keys`; when that
 * verifier is not configured, the credential is rejected as `malformed`.
 */
export function createVerifier({ keys, jwt, dpop, strict }: VerifierOptions): Verifier {
  return {
    dpop,
    async verify(credential) {
      const verifier = isCompactJws(credential.secret) ? jwt : keys;
      if (!verifier) return refusedCredential('malformed');
      const token = await verifier.verify(credential.secret);
      if (!token.ok) return token;
      const failed = await sender(credential, token, dpop, strict);
      return failed === undefined ? token : { ...failed, client: token.client };
    },
  };
}

/**
 * Checks that the request comes from the holder of the key or certificate that the credential is bound to.
 * Answers undefined when it does, or when nothing binds the credential.
 */
async function sender(
  credential: Credential,
  { confirmation: { jkt, x5t } }: Extract<CredentialVerification, { ok: true }>,
  dpop: DpopVerifier | undefined,
  strict: boolean,
): Promise<RefusedCredential | undefined> {
  if (x5t !== undefined && credential.certificate !== x5t) return refusedCredential('certificate_mismatch');
  if (jkt === undefined) {
    // RFC 9449 §7.1: the DPoP scheme is only for access tokens that are bound to a key.
    if (credential.scheme === 'dpop') return refusedCredential('unbound_token_as_dpop');
    return strict && x5t === undefined ? refusedCredential('sender_constraint_missing') : undefined;
  }
  if (credential.scheme !== 'dpop' || !dpop) return refusedCredential('bound_token_as_bearer');
  const { proof, secret: token, method, url, ip, network } = credential;
  return dpop.check({ text: proof, method, url, accessToken: token.reveal(), thumbprint: jkt, ip, network });
}
