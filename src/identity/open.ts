// Puts the verification of credentials together from the configuration: API keys, access tokens and DPoP proofs.
import type { Config } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import type { Reloadable } from '../core/files/reloadable.ts';
import type { Sealer } from '../keyring/sealing.ts';
import type { DpopVerifier, ProofLedger } from './access-tokens/dpop.ts';
import type { IssuerKeys } from './access-tokens/key-server.ts';
import { createNonces } from './access-tokens/nonces.ts';
import { createKeysVerifier } from './keys.ts';
import { createVerifier, type Verifier } from './verifier.ts';

/** The configuration of identity and the ports it needs. */
export interface IdentityOptions {
  identity: Config['identity'];
  env: NodeJS.ProcessEnv;
  /** Names of access token claims that are kept besides the usual ones. */
  keep: readonly string[];
  clock: Clock;
  /** Seals the DPoP nonces. */
  sealer: Sealer;
  /** The present epoch of the store. Rejects when the store does not answer. */
  epoch: () => Promise<string>;
  proofs: ProofLedger;
  /** Called when the client file has changed and cannot be used. */
  onProblem: (problem: string) => void;
  /** Called when the key server of the issuer cannot be reached any more, with the reason, and with undefined when it can. */
  onReach: (failure: string | undefined) => void;
}

/** Everything that authenticates clients, until `close`. */
export interface Identity {
  readonly verifier: Verifier;
  readonly dpop: DpopVerifier | undefined;
  /** True when only credentials bound to a key or certificate are accepted. */
  readonly strict: boolean;
  /** Why the client file cannot be used, so that the last good one stays in force; undefined when it can. */
  readonly problem: string | undefined;
  /** The roles that clients with API keys have. */
  readonly roles: ReadonlySet<string>;
  /** When the first API key ends that has not ended yet, in milliseconds since 1970; undefined where none does. */
  readonly firstExpiry: number | undefined;
  /** How the keys of the issuer fare; undefined where no key server is configured. */
  readonly issuerKeys: IssuerKeys | undefined;
  /**
   * False while nobody at all can be let in: access tokens are all there is, and there are no keys to verify them with.
   */
  readonly ready: boolean;
  /** The client file and the key file, which can be read again. */
  readonly reloadable: readonly Reloadable[];
  close(): void;
}

/** Opens the configured verifiers. Rejects with an OperatorError when the client file or the key set cannot be used. */
export async function openIdentity(options: IdentityOptions): Promise<Identity> {
  const { identity, env, keep, clock, sealer, epoch, proofs, onProblem, onReach } = options;
  const { keys, jwt, dpop: settings } = identity;
  const policyClaims = identity.claims.policy;
  const keysVerifier = keys && createKeysVerifier({ source: keys, env, clock, onProblem });
  // Without access tokens their library is not loaded.
  const tokens = jwt && { ...(await import('./access-tokens/jwt.ts')), ...(await import('./access-tokens/dpop.ts')) };
  const dpop = tokens?.createDpopVerifier({
    nonces: createNonces({ sealer, epoch, clock, lifetimeMs: settings.nonce_seconds * 1000 }),
    proofs,
    clock,
    algorithms: settings.algorithms,
    proofSeconds: settings.proof_seconds,
    skewSeconds: settings.skew_seconds,
  });
  const strict = identity.sender_constrained !== 'optional';
  const jwtVerifier = tokens?.createJwtVerifier({
    ...(jwt as NonNullable<typeof jwt>),
    clockSkewSeconds: jwt?.clock_skew_seconds ?? 0,
    keep,
    policyClaims,
    clock,
    onReach,
  });
  const verifier = createVerifier({
    ...(keysVerifier && { keys: keysVerifier }),
    ...(jwtVerifier && { jwt: jwtVerifier }),
    ...(dpop && { dpop }),
    strict,
  });
  return {
    verifier,
    dpop,
    strict,
    get problem() {
      return keysVerifier?.problem;
    },
    get roles() {
      return keysVerifier?.roles ?? new Set<string>();
    },
    get firstExpiry() {
      return keysVerifier?.firstExpiry;
    },
    get issuerKeys() {
      return jwtVerifier?.issuerKeys;
    },
    get ready() {
      return keysVerifier !== undefined || jwtVerifier?.issuerKeys?.usable !== false;
    },
    reloadable: [...(keysVerifier?.reloadable ?? []), ...(jwtVerifier?.reloadable ?? [])],
    close() {
      keysVerifier?.close();
      jwtVerifier?.close();
    },
  };
}
