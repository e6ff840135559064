// The keys of an issuer, from its server (RFC 7517). They are fetched ahead of time, so that a call hardly ever waits for the
// provider, and go on while it is down. Otherwise an outage of the provider would be one of every connector.
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { readCaFile } from '../../core/files/ca-file.ts';
import { fetchKeySet, parseKeySet } from './key-set.ts';

/** How the keys of the issuer fare. */
export interface IssuerKeys {
  /** Milliseconds since they were fetched; undefined when they never were. */
  readonly ageMs: number | undefined;
  /** Why they could not be fetched last; undefined when they were. */
  readonly failure: string | undefined;
  /** Whether there are keys that may still be used. */
  readonly usable: boolean;
}

/** The key server of an issuer, asked until `close`. */
export interface KeyServer extends IssuerKeys {
  /** Rejects with one of the errors of jose for an unknown key, and with another one when the server cannot be asked. */
  readonly keys: JWTVerifyGetKey;
  close(): void;
}

export interface KeyServerOptions {
  url: string;
  /** PEM file of a private CA; undefined: the public ones. */
  caFile?: string | undefined;
  clock: Clock;
  /** Called when a fetch fails for a reason that is new, with that, and with undefined when it works again. */
  onReach: (failure: string | undefined) => void;
  /** Called when other keys were fetched than before. */
  onChange: () => void;
}

/** How long an answer may take. */
const TIMEOUT_MS = 3000;
/** How often they are fetched. */
const REFRESH_MS = 300_000;
/**
 * How long nobody asks again after a fetch, whatever came of it: tokens that name keys which do not exist must not become
 * requests to the provider, nor its outage a flood when it comes back.
 */
const PAUSE_MS = 10_000;
/** How long keys are used that cannot be fetched any more. A key that the provider has withdrawn must end some day. */
export const LONGEST_MS = 86_400_000;
const LOOK_MS = 5000;

/** Throws an OperatorError when the CA cannot be read. */
export function openKeyServer({ url, caFile, clock, onReach, onChange }: KeyServerOptions): KeyServer {
  const ca = caFile === undefined ? undefined : readCaFile(caFile, 'identity.jwt.jwks.ca_file');
  let text = '';
  let keySet: JWTVerifyGetKey | undefined;
  let fetchedAt: number | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  let failure: string | undefined;
  let pending: Promise<void> | undefined;

  async function ask(): Promise<void> {
    const before = failure;
    try {
      const fresh = await fetchKeySet(url, ca, TIMEOUT_MS);
      if (fresh !== text) {
        keySet = createLocalJWKSet(parseKeySet(fresh) as JSONWebKeySet);
        text = fresh;
        onChange();
      }
      [fetchedAt, failure] = [clock.now(), undefined];
    } catch (thrown) {
      failure = reasonOf(thrown);
    }
    askedAt = clock.now();
    if (failure !== before) onReach(failure);
  }
  const rested = () => clock.now() - askedAt >= PAUSE_MS;
  /** Asks, or waits for whoever is asking. Does nothing where somebody has asked a moment ago. */
  const refresh = (): Promise<void> => {
    if (!pending && !rested()) return Promise.resolve();
    pending ??= ask().finally(() => {
      pending = undefined;
    });
    return pending;
  };
  const ageMs = () => (fetchedAt === undefined ? undefined : Math.max(0, clock.now() - fetchedAt));
  const usable = () => (ageMs() ?? LONGEST_MS) < LONGEST_MS;

  const refreshIfOld = () => {
    if (failure !== undefined || (ageMs() ?? REFRESH_MS) >= REFRESH_MS) void refresh();
  };
  refreshIfOld();
  const timer = setInterval(refreshIfOld, LOOK_MS).unref();
  return {
    async keys(header, token) {
      if (!usable()) await refresh();
      else refreshIfOld();
      if (!usable() || !keySet) throw new Error('the keys of the issuer cannot be fetched');
      try {
        return await keySet(header, token);
      } catch (thrown) {
        if (!(thrown instanceof errors.JWKSNoMatchingKey) || (failure === undefined && !rested())) throw thrown;
        await refresh();
        // It may be a new key of a provider that cannot be asked, so nothing is known of the token.
        if (failure !== undefined) throw new Error('the keys of the issuer cannot be fetched');
        return keySet(header, token);
      }
    },
    get ageMs() {
      return ageMs();
    },
    get failure() {
      return failure;
    },
    get usable() {
      return usable();
    },
    close: () => clearInterval(timer),
  };
}

/** Why a fetch failed: a code of the network or of TLS, or a sentence of our own. */
const reasonOf = (thrown: unknown): string => (thrown as NodeJS.ErrnoException).code ?? messageOf(thrown);
