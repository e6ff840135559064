// Verifies DPoP proofs (RFC 9449): runs the checks of §4.3, then records the use of the proof in the
// shared store. That is one atomic step, so of any number of copies of a proof, sent to any replicas, only one is
// accepted.
import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, errors, type JWK, jwtVerify } from 'jose';
import type { Clock } from '../../core/clock.ts';
import { type ProofCheck, type RefusedCredential, refusedCredential } from '../failures.ts';
import type { Nonces } from './nonces.ts';

/** When and from where a proof was used first. `at` is in milliseconds since 1970. */
export interface ProofUse {
  at: number;
  ip: string;
  network: string;
}

/** Remembers which DPoP proofs have been used, for all replicas with the same store. */
export interface ProofLedger {
  /**
   * Records that a proof is used now, and remembers it for `ttlMs`. Answers undefined when the proof is new,
   * otherwise its first use. Rejects when the store does not answer; the request must then be refused.
   */
  use(proof: string, use: ProofUse, ttlMs: number): Promise<ProofUse | undefined>;
}

/** A DPoP proof together with the request and the access token that it must match. */
export interface Proof {
  /** The DPoP header as received; undefined when there is none. */
  text: string | undefined;
  method: string;
  /** URL of the request as the client sees it, without query. */
  url: string;
  accessToken: string;
  /** Thumbprint of the key that the access token is bound to (`cnf.jkt`). */
  thumbprint: string;
  ip: string;
  network: string;
}

/** Settings and ports of the DPoP verifier. */
export interface DpopOptions {
  nonces: Nonces;
  proofs: ProofLedger;
  clock: Clock;
  algorithms: readonly string[];
  /** The greatest age of a proof (`iat`), in seconds. */
  proofSeconds: number;
  /** How far the clock of a client may be ahead of ours, in seconds. */
  skewSeconds: number;
}

/** Verifies DPoP proofs and hands out the nonces that they must contain. */
export interface DpopVerifier {
  /**
   * Checks a proof and uses it up. Answers undefined when it is accepted, otherwise why not. Never throws: a
   * store that does not answer gives `unavailable`.
   */
  check(proof: Proof): Promise<RefusedCredential | undefined>;
  /** Signature algorithms that are accepted, as the challenge names them. */
  readonly algorithms: readonly string[];
  /** The nonce to send to a client in `DPoP-Nonce`. Rejects when the store does not answer. */
  nonce(): Promise<string>;
}

const LONGEST_PROOF = 8192;
const LONGEST_JTI = 512;

/** Creates the verifier. A proof is remembered for as long as the clock of any replica could still accept it. */
export function createDpopVerifier(options: DpopOptions): DpopVerifier {
  const { nonces, proofs, clock, algorithms, proofSeconds, skewSeconds } = options;

  /** The checks of §4.3 that need no store, in its order. A failed one is named, for the audit log. */
  async function verify(proof: Proof): Promise<RefusedCredential | { ok: true; jti: string; nonce: unknown }> {
    const { text } = proof;
    if (text === undefined) return refusedCredential('proof_missing');
    if (text.length > LONGEST_PROOF) return invalid('length');
    const now = clock.now();
    const { payload, protectedHeader } = await jwtVerify(text, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [...algorithms],
      currentDate: new Date(now),
      clockTolerance: skewSeconds,
    });
    const jwk = protectedHeader.jwk as JWK | undefined;
    // jose only accepts public keys here. A header that carries a private or symmetric key is refused all the same.
    if (!jwk || 'd' in jwk || 'k' in jwk) return invalid('jwk');
    const { jti, htm, htu, iat, ath, nonce } = payload;
    if (typeof jti !== 'string' || jti === '' || jti.length > LONGEST_JTI) return invalid('jti');
    if (htm !== proof.method) return invalid('htm');
    if (typeof htu !== 'string' || !sameUrl(htu, proof.url)) return invalid('htu');
    if (typeof iat !== 'number' || iat * 1000 > now + skewSeconds * 1000) return invalid('iat');
    if (iat * 1000 < now - proofSeconds * 1000) return invalid('iat');
    if (ath !== createHash('sha256').update(proof.accessToken).digest('base64url')) return invalid('ath');
    if ((await calculateJwkThumbprint(jwk)) !== proof.thumbprint) return invalid('jkt');
    return { ok: true, jti, nonce };
  }

  return {
    algorithms,
    nonce: () => nonces.current(),

    async check(proof) {
      let verified: Awaited<ReturnType<typeof verify>>;
      try {
        verified = await verify(proof);
      } catch (thrown) {
        return failedIn(thrown);
      }
      if (!verified.ok) return verified;
      try {
        if (typeof verified.nonce !== 'string') return refusedCredential('proof_nonce');
        if (!(await nonces.valid(verified.nonce))) return refusedCredential('proof_nonce_stale');
        // The proof is named by key and jti together: the same jti made by another key is another proof.
        const name = createHash('sha256')
          .update(JSON.stringify([proof.thumbprint, verified.jti]))
          .digest('base64url');
        const use = { at: clock.now(), ip: proof.ip, network: proof.network };
        const first = await proofs.use(name, use, (proofSeconds + 2 * skewSeconds + 1) * 1000);
        return first ? refusedCredential('proof_replayed') : undefined;
      } catch {
        return refusedCredential('unavailable');
      }
    },
  };
}

const invalid = (check: ProofCheck): RefusedCredential => refusedCredential('proof_invalid', check);

/** Which check of jose failed. Its messages are not used: they may quote the proof. */
function failedIn(thrown: unknown): RefusedCredential {
  if (thrown instanceof errors.JWTExpired) return invalid('iat');
  if (thrown instanceof errors.JWTClaimValidationFailed) return invalid(thrown.claim === 'typ' ? 'typ' : 'iat');
  if (thrown instanceof errors.JOSEAlgNotAllowed || thrown instanceof errors.JOSENotSupported) return invalid('alg');
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return invalid('signature');
  // EmbeddedJWK refuses a header without a public key so; any other JWS error is one of form.
  if (thrown instanceof errors.JWSInvalid) return invalid(/"jwk"/.test(thrown.message) ? 'jwk' : 'format');
  if (thrown instanceof errors.JOSEError) return invalid('format');
  // A key that WebCrypto cannot import.
  return thrown instanceof TypeError || (thrown instanceof Error && thrown.name === 'DataError')
    ? invalid('jwk')
    : refusedCredential('unavailable');
}

/**
 * Compares `htu` with the URL of the request (§4.3, check 9): scheme and host without regard to case, the path
 * exactly; query and fragment are ignored.
 */
function sameUrl(a: string, b: string): boolean {
  try {
    const [one, other] = [new URL(a), new URL(b)];
    return one.origin === other.origin && one.pathname === other.pathname && one.username === '' && one.password === '';
  } catch {
    return false;
  }
}
