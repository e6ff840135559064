// Puts together how callers are known: API keys, tokens, proofs of possession.
import type { Config } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import type { Sealer } from '../keyring/sealing.ts';
import { createDpopVerifier, type DpopVerifier, type ProofLedger } from './dpop.ts';
import { createJwtVerifier } from './jwt.ts';
import { createKeysVerifier } from './keys.ts';
import { createNonces } from './nonces.ts';
import { createVerifier, type Verifier } from './verifier.ts';

export interface IdentityOptions {
  identity: Config['identity'];
  /** Claims of tokens that are kept besides the usual ones. */
  keep: readonly string[];
  clock: Clock;
  /** Seals nonces. */
  sealer: Sealer;
  epoch: () => Promise<string>;
  proofs: ProofLedger;
  onProblem: (problem: string) => void;
}

export interface Identity {
  readonly verifier: Verifier;
  readonly dpop: DpopVerifier | undefined;
  /** Only what is bound to a key is accepted. */
  readonly strict: boolean;
  /** The client file cannot be used at present. For /readyz. */
  readonly stale: boolean;
  close(): void;
}

export function openIdentity(options: IdentityOptions): Identity {
  const { identity, keep, clock, sealer, epoch, proofs, onProblem } = options;
  const { keys, jwt, dpop: settings } = identity;
  const keysVerifier = keys && createKeysVerifier({ file: keys.file, clock, onProblem });
  const dpop =
    jwt &&
    createDpopVerifier({
      nonces: createNonces({ sealer, epoch, clock, lifetimeMs: settings.nonce_seconds * 1000 }),
      proofs,
      clock,
      algorithms: settings.algorithms,
      proofSeconds: settings.proof_seconds,
      skewSeconds: settings.skew_seconds,
    });
  const strict = identity.sender_constrained === 'required';
  const verifier = createVerifier({
    ...(keysVerifier && { keys: keysVerifier }),
    ...(jwt && { jwt: createJwtVerifier({ ...jwt, clockSkewSeconds: jwt.clock_skew_seconds, keep, clock }) }),
    ...(dpop && { dpop }),
    strict,
  });
  return {
    verifier,
    dpop,
    strict,
    get stale() {
      return keysVerifier?.stale === true;
    },
    close: () => keysVerifier?.close(),
  };
}
