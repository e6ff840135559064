// DPoP proofs (RFC 9449): all checks of §4.3, then one claim of the proof in the shared store, so that
// of any number of copies, at any replica, one is accepted.
import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, errors, type JWK, jwtVerify } from 'jose';
import type { Clock } from '../core/clock.ts';
import type { Nonces } from './nonces.ts';
import type { AuthFailure } from './verifier.ts';

/** Where and when a proof was used first. */
export interface ProofUse {
  at: number;
  ip: string;
  network: string;
}

export interface ProofLedger {
  /**
   * Claims a proof for `ttlMs`. Undefined: it is new. Otherwise its first use. Rejects when the store
   * cannot tell, which refuses the call.
   */
  use(proof: string, use: ProofUse, ttlMs: number): Promise<ProofUse | undefined>;
}

export interface Proof {
  /** The DPoP header as it came. */
  text: string | undefined;
  method: string;
  /** URL of the request as the client sees it, without query. */
  url: string;
  accessToken: string;
  /** Thumbprint the access token is bound to (cnf.jkt). */
  thumbprint: string;
  ip: string;
  network: string;
}

export interface DpopOptions {
  nonces: Nonces;
  proofs: ProofLedger;
  clock: Clock;
  algorithms: readonly string[];
  /** How old a proof may be. */
  proofSeconds: number;
  /** How far the clock of a client may be ahead. */
  skewSeconds: number;
}

export interface DpopVerifier {
  /** Undefined: the proof is good, and used up. */
  check(proof: Proof): Promise<AuthFailure | undefined>;
  readonly algorithms: readonly string[];
  nonce(): Promise<string>;
}

const LONGEST_PROOF = 8192;
const LONGEST_JTI = 512;

export function createDpopVerifier(options: DpopOptions): DpopVerifier {
  const { nonces, proofs, clock, algorithms, proofSeconds, skewSeconds } = options;

  async function verify(proof: Proof): Promise<AuthFailure | { jti: string; nonce: unknown }> {
    const { text } = proof;
    if (text === undefined) return 'proof_missing';
    if (text.length > LONGEST_PROOF) return 'proof_invalid';
    const now = clock.now();
    const { payload, protectedHeader } = await jwtVerify(text, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [...algorithms],
      currentDate: new Date(now),
      clockTolerance: skewSeconds,
    });
    const jwk = protectedHeader.jwk as JWK | undefined;
    // jose takes public keys only here; a private or symmetric one in the header is refused by name.
    if (!jwk || 'd' in jwk || 'k' in jwk) return 'proof_invalid';
    const { jti, htm, htu, iat, ath, nonce } = payload;
    if (typeof jti !== 'string' || jti === '' || jti.length > LONGEST_JTI) return 'proof_invalid';
    if (htm !== proof.method || typeof htu !== 'string' || !sameUrl(htu, proof.url)) return 'proof_invalid';
    if (typeof iat !== 'number' || iat * 1000 > now + skewSeconds * 1000) return 'proof_invalid';
    if (iat * 1000 < now - proofSeconds * 1000) return 'proof_invalid';
    if (ath !== createHash('sha256').update(proof.accessToken).digest('base64url')) return 'proof_invalid';
    if ((await calculateJwkThumbprint(jwk)) !== proof.thumbprint) return 'proof_invalid';
    return { jti, nonce };
  }

  return {
    algorithms,
    nonce: () => nonces.current(),

    async check(proof) {
      let verified: Awaited<ReturnType<typeof verify>>;
      try {
        verified = await verify(proof);
      } catch (thrown) {
        return thrown instanceof errors.JOSEError || thrown instanceof TypeError ? 'proof_invalid' : 'unavailable';
      }
      if (typeof verified === 'string') return verified;
      try {
        if (typeof verified.nonce !== 'string') return 'proof_nonce';
        if (!(await nonces.valid(verified.nonce))) return 'proof_nonce_stale';
        // By key and jti: the same jti of another key is another proof.
        const name = createHash('sha256')
          .update(JSON.stringify([proof.thumbprint, verified.jti]))
          .digest('base64url');
        const use = { at: clock.now(), ip: proof.ip, network: proof.network };
        const first = await proofs.use(name, use, (proofSeconds + 2 * skewSeconds + 1) * 1000);
        return first ? 'proof_replayed' : undefined;
      } catch {
        return 'unavailable';
      }
    },
  };
}

/** Scheme and host in any case, path as it is; query and fragment do not count (§4.3, check 9). */
function sameUrl(a: string, b: string): boolean {
  try {
    const [one, other] = [new URL(a), new URL(b)];
    return one.origin === other.origin && one.pathname === other.pathname && one.username === '' && one.password === '';
  } catch {
    return false;
  }
}
