// Verifies JWT access tokens (RFC 9068 where the issuer follows it). Signature, issuer, audience, type and
// algorithm are all checked before anything is looked up for the client. Home of jose.
import { createHash } from 'node:crypto';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import { type Checked, type Reloadable, UNCHANGED } from '../../core/files/reloadable.ts';
import { atPointer, isObject, isWellFormed } from '../../formats/json.ts';
import { type Client, createClient, type PolicyClaim } from '../client.ts';
import { type JwtCheck, type RefusedCredential, refusedCredential } from '../failures.ts';
import type { CredentialVerification, CredentialVerifier } from '../verifier.ts';
import { type IssuerKeys, openKeyServer } from './key-server.ts';
import { readKeySet } from './key-set.ts';

/** What an access token must look like and where the keys of its issuer are. */
export interface JwtOptions {
  issuer: string;
  audience: string;
  /** `ca_file`: PEM file of a private CA. */
  jwks: { url: string; ca_file?: string | undefined } | { file: string };
  algorithms: string[];
  /** Accepted values of the `typ` header, such as "at+jwt". */
  types: string[];
  clockSkewSeconds: number;
  /** Claim names, or JSON pointers into the claims when they start with "/". */
  claims: { client_id: string; roles: string; scopes: string };
  /** Other claims to keep in `Client.claims`, named in the same way. */
  keep: readonly string[];
  /** Claims that policies may read, named in the same way. */
  policyClaims: readonly string[];
  clock: Clock;
  /** Called when the key server cannot be reached any more, with the reason, and with undefined when it can again. */
  onReach: (failure: string | undefined) => void;
}

/** Verifies access tokens until `close`. */
export interface JwtVerifier extends CredentialVerifier {
  /** The key file; a key server is asked by itself. */
  readonly reloadable: readonly Reloadable[];
  /** How the keys of a key server fare; undefined where they are in a file. */
  readonly issuerKeys: IssuerKeys | undefined;
  close(): void;
}

/**
 * Verified access tokens are cached, because `jwtVerify` costs 130 to 200 µs. The cache is bounded in number, and
 * no entry outlives its access token or five minutes.
 */
const CACHE_ENTRIES = 10_000;
const CACHE_MS = 300_000;
/** Most roles, or scopes, that an access token may list. */
const MAX_NAMES = 64;

/**
 * Creates the verifier. Throws an OperatorError when a key file cannot be read as a JWK set (RFC 7517); a key
 * server may be down, and `unavailable` is the answer while there are no keys.
 */
export function createJwtVerifier(options: JwtOptions): JwtVerifier {
  const { jwks, clock, onReach } = options;
  // A key that was taken out accepts nothing any more, also what it had signed a moment ago.
  const onChange = () => {
    changes += 1;
    cache.clear();
  };
  let changes = 0;
  const server =
    'url' in jwks ? openKeyServer({ url: jwks.url, caFile: jwks.ca_file, clock, onReach, onChange }) : undefined;
  let keys = 'url' in jwks ? (server?.keys as JWTVerifyGetKey) : localKeys(jwks.file).keys;
  const cache = new BoundedCache<string, { verified: Extract<CredentialVerification, { ok: true }>; until: number }>(
    CACHE_ENTRIES,
  );

  async function check(token: string): Promise<CredentialVerification> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keys, {
        issuer: options.issuer,
        audience: options.audience,
        algorithms: options.algorithms,
        clockTolerance: options.clockSkewSeconds,
        currentDate: new Date(options.clock.now()),
        requiredClaims: ['sub', 'exp'],
      });
      const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, '');
      if (!type || !options.types.some((t) => t.toLowerCase() === type)) return invalid('typ');
      const confirmation = confirmationOf(payload.cnf);
      if (!confirmation) return invalid('cnf');
      const { kid } = protectedHeader;
      const client = toClient(payload, options, { ...confirmation, ...(kid !== undefined && fits(kid) && { kid }) });
      return typeof client === 'string' ? invalid(client) : { ok: true, client, confirmation };
    } catch (thrown) {
      return failedIn(thrown);
    }
  }

  function reloadableOf(): Reloadable[] {
    if (!('file' in jwks)) return [];
    const { file } = jwks;
    let before = readKeySet(file).text;
    const check = (): Checked => {
      const { keys: fresh, text } = localKeys(file);
      if (text === before) return UNCHANGED;
      return {
        result: 'changed',
        apply() {
          [before, keys] = [text, fresh];
          onChange();
        },
      };
    };
    return [{ part: 'identity.jwt.jwks', check }];
  }

  return {
    reloadable: reloadableOf(),
    issuerKeys: server,
    close: () => server?.close(),
    async verify(token) {
      const raw = token.reveal();
      const hash = createHash('sha256').update(raw).digest('base64');
      const now = options.clock.now();
      const hit = cache.get(hash);
      if (hit && hit.until > now) return hit.verified;
      cache.delete(hash);
      const began = changes;
      const result = await check(raw);
      // Keys that were taken out meanwhile must not come back by what they had verified.
      if (result.ok && began === changes) {
        cache.set(hash, {
          verified: result,
          until: Math.min(now + CACHE_MS, result.client.auth.expiresAt ?? now),
        });
      }
      return result;
    },
  };
}

function localKeys(file: string): { keys: JWTVerifyGetKey; text: string } {
  const { set, text } = readKeySet(file);
  return { keys: createLocalJWKSet(set as JSONWebKeySet), text };
}

const invalid = (check: JwtCheck): RefusedCredential => refusedCredential('claims_invalid', check);

/** Claims that jose checks itself. */
const CHECKED = ['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'typ'] as const satisfies readonly JwtCheck[];

/** Which check of jose failed. Its messages are not used: they may quote the access token. */
function failedIn(thrown: unknown): RefusedCredential {
  if (thrown instanceof errors.JWTExpired) return refusedCredential('token_expired', 'exp');
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    const claim = CHECKED.find((name) => name === thrown.claim);
    return claim ? invalid(claim) : refusedCredential('claims_invalid', 'format');
  }
  if (thrown instanceof errors.JOSEAlgNotAllowed || thrown instanceof errors.JOSENotSupported)
    return refusedCredential('signature_invalid', 'alg');
  if (thrown instanceof errors.JWKSNoMatchingKey || thrown instanceof errors.JWKSMultipleMatchingKeys)
    return refusedCredential('signature_invalid', 'kid');
  if (thrown instanceof errors.JWSSignatureVerificationFailed)
    return refusedCredential('signature_invalid', 'signature');
  if (thrown instanceof errors.JOSEError && thrown.code !== 'ERR_JOSE_GENERIC')
    return refusedCredential('signature_invalid', 'format');
  return refusedCredential('unavailable');
}

/**
 * The keys the access token is bound to (`cnf`; RFC 9449 §6, RFC 8705 §3.1). Undefined when it names a kind of
 * binding we do not know: that binding could not be checked, so the access token is not accepted.
 */
function confirmationOf(cnf: unknown): { jkt?: string; x5t?: string } | undefined {
  if (cnf === undefined) return {};
  if (!isObject(cnf)) return undefined;
  const { jkt, 'x5t#S256': x5t, ...rest } = cnf;
  if (Object.keys(rest).length > 0 || (jkt === undefined && x5t === undefined)) return undefined;
  if (![jkt, x5t].every((value) => value === undefined || (typeof value === 'string' && value !== '')))
    return undefined;
  return { ...(jkt !== undefined && { jkt: jkt as string }), ...(x5t !== undefined && { x5t: x5t as string }) };
}

/** The client the claims name, or the check that failed. */
function toClient(
  payload: JWTPayload,
  { claims, issuer, keep, policyClaims }: JwtOptions,
  { jkt, x5t, kid }: { jkt?: string; x5t?: string; kid?: string },
): Client | JwtCheck {
  const id = claim(payload, claims.client_id) ?? (claims.client_id === 'client_id' ? payload.azp : undefined);
  if (typeof id !== 'string' || !fits(id)) return 'client_id';
  if (!payload.sub || !fits(payload.sub)) return 'sub';
  const roles = names(claim(payload, claims.roles));
  const scopes = names(claim(payload, claims.scopes));
  if (!roles) return 'roles';
  if (!scopes) return 'scopes';
  const forPolicy = policyClaims.flatMap((name) => readable(name, claim(payload, name)));
  return createClient({
    id,
    subject: payload.sub,
    issuer,
    roles,
    scopes,
    ...(forPolicy.length > 0 && { policyClaims: Object.freeze(Object.fromEntries(forPolicy)) }),
    claims: Object.fromEntries(keep.flatMap((name) => kept(name, claim(payload, name)))),
    auth: {
      method: jkt !== undefined ? 'dpop' : x5t !== undefined ? 'mtls' : 'jwt',
      issuedAt: payload.iat === undefined ? null : payload.iat * 1000,
      expiresAt: payload.exp === undefined ? null : payload.exp * 1000,
      key: jkt ?? x5t ?? null,
      keyId: kid,
    },
  });
}

const claim = (payload: JWTPayload, name: string): unknown =>
  name.startsWith('/') ? atPointer(payload, name) : Object.hasOwn(payload, name) ? payload[name] : undefined;

/**
 * Keeps a claim that is text or a whole number, as identifiers are. Any other value is treated as if the claim
 * were missing.
 */
function kept(name: string, value: unknown): [string, string][] {
  const text = Number.isSafeInteger(value) ? String(value) : value;
  return typeof text === 'string' && fits(text) ? [[name, text]] : [];
}

/** A claim as policies read it: text, a number, a boolean or a list of texts. Any other value is as if it were missing. */
function readable(name: string, value: unknown): [string, PolicyClaim][] {
  const list = Array.isArray(value) ? value : undefined;
  if (list)
    return list.length <= MAX_NAMES && list.every((n) => typeof n === 'string' && fits(n)) ? [[name, list]] : [];
  if (typeof value === 'boolean' || Number.isFinite(value)) return [[name, value as boolean | number]];
  return typeof value === 'string' && fits(value) ? [[name, value]] : [];
}

/** Text that is not well-formed Unicode is no name: no policy can be asked about it. */
const fits = (text: string): boolean => text.length > 0 && text.length <= 200 && isWellFormed(text);

/**
 * Reads a list of names, or the space-separated string that OAuth uses for scopes. A missing claim is an empty
 * list; undefined means that the value is neither.
 */
function names(value: unknown): string[] | undefined {
  if (value === undefined) return [];
  const list = typeof value === 'string' ? value.split(' ').filter(Boolean) : value;
  if (!Array.isArray(list) || list.length > MAX_NAMES || !list.every((n) => typeof n === 'string' && fits(n)))
    return undefined;
  return list;
}
