// Verifies the signature of a policy in OPA's form: .signatures.json holds a JSON Web Signature (RFC 7515) over the names and
// hashes of all files (https://www.openpolicyagent.org/docs/management-bundles#signing). It is verified before anything of
// the policy is looked at, so that nothing unsigned is parsed, and nothing of it runs.
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { compactVerify, errors } from 'jose';
import { z } from 'zod';
import { OperatorError } from '../../core/errors.ts';
import { canonicalJson } from '../../formats/json.ts';
import { parseData } from '../../formats/yaml/yaml.ts';
import type { Files } from './files.ts';

export const SIGNATURES = '.signatures.json';

/** A public key that may have signed, by the name that the configuration gives it. */
export interface VerifyKey {
  name: string;
  file: string;
}

/** What is known of a signed policy. */
export interface Signed {
  /** The name of the key. */
  key: string;
  /** When it was signed, in seconds since 1970 (claim `iat`); undefined where the signature does not say so. */
  issued: number | undefined;
}

const signaturesSchema = z.object({ signatures: z.array(z.string().max(1_000_000)).length(1) });
const payloadSchema = z.object({
  files: z.array(z.object({ name: z.string(), hash: z.string(), algorithm: z.string() })).min(1),
  iat: z.number().int().nonnegative().optional(),
});

/** Clocks differ, though not by that much. In seconds. */
const A_DAY = 86_400;

/** SHA-2 as OPA names it. MD5 and SHA-1, which OPA also takes, prove nothing. */
const HASHES: Record<string, string> = { 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512' };

/** Rejects with an OperatorError that says what is wrong. `place`: as messages name it. */
export async function verify(place: string, files: Files, keys: readonly VerifyKey[]): Promise<Signed> {
  const fail = (why: string) => new OperatorError(`${place} is not used: ${why}`);
  const text = files.get(SIGNATURES);
  if (!text)
    throw fail(`it is not signed (there is no ${SIGNATURES}), and policy.keys is set; run "sallyport policy sign"`);
  const token = tokenIn(text);
  if (token === undefined) throw fail(`${SIGNATURES} does not hold one signature in OPA's form`);
  const verified = await verifyToken(token, keys);
  if (!verified) throw fail(`its signature is of none of the keys in policy.keys (${keys.map(({ name }) => name)})`);
  const payload = payloadSchema.safeParse(parsed(Buffer.from(verified.payload).toString('utf8')));
  if (!payload.success) throw fail('its signature does not say which files it is for');

  if ((payload.data.iat ?? 0) > Date.now() / 1000 + A_DAY)
    throw fail('its signature is of a time that has not come, and nothing could follow it');
  const left = new Set([...files.keys()].filter((name) => name !== SIGNATURES));
  for (const { name, hash, algorithm } of payload.data.files) {
    const inside = name.replace(/^\/+/, '');
    const content = files.get(inside);
    if (!content) throw fail(`${inside} is signed and is not there`);
    const made = HASHES[algorithm];
    if (made === undefined) throw fail(`${inside} is signed by ${algorithm}; sign with SHA-256`);
    if (hashOf(inside, content, made) !== hash.toLowerCase()) throw fail(`${inside} was changed after it was signed`);
    left.delete(inside);
  }
  const [extra] = left;
  if (extra !== undefined) throw fail(`${extra} is there and is not signed`);
  return { key: verified.key, issued: payload.data.iat };
}

async function verifyToken(token: string, keys: readonly VerifyKey[]) {
  for (const { name, file } of keys) {
    const key = readKey(file);
    try {
      const { payload } = await compactVerify(token, key, { algorithms: algorithmsOf(key) });
      return { key: name, payload };
    } catch (thrown) {
      if (!(thrown instanceof errors.JOSEError)) throw thrown;
    }
  }
  return undefined;
}

/** Throws an OperatorError for what is no public key, or one that is too weak. */
export function readKey(file: string): KeyObject {
  let key: KeyObject;
  try {
    const pem = readFileSync(file, 'utf8');
    // Who can read the key that signs can sign: it has no place on the machine that verifies.
    if (/PRIVATE KEY/.test(pem)) throw new Error('it is a private key; give the public one');
    key = createPublicKey(pem);
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    throw new OperatorError(`policy.keys: ${file} cannot be used: ${code ?? message}`);
  }
  if (algorithmsOf(key).length === 0)
    throw new OperatorError(`policy.keys: ${file} is no key for signatures; give RSA (2048 bits), EC or Ed25519`);
  return key;
}

const CURVES: Record<string, string> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/** What a key may be used for. Secrets that both sides have are no signatures, so HS256 is not among it. */
export function algorithmsOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string[] {
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= 2048)
    return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
  if (type === 'ed25519') return ['EdDSA'];
  const curve = CURVES[details?.namedCurve ?? ''];
  return type === 'ec' && curve !== undefined ? [curve] : [];
}

/** OPA hashes what is data by its content, whatever its form, and everything else by its bytes. */
export function hashOf(name: string, content: Buffer, algorithm = 'sha256'): string {
  const hash = createHash(algorithm);
  const base = basename(name);
  if (!['data.json', 'data.yaml', 'data.yml', '.manifest'].includes(base)) return hash.update(content).digest('hex');
  let value: unknown;
  try {
    value = /\.ya?ml$/.test(base) ? parseData(content.toString('utf8')) : JSON.parse(content.toString('utf8'));
  } catch {
    return 'what cannot be read has no hash';
  }
  // Go writes these two escaped.
  const text = canonicalJson(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  return hash.update(text).digest('hex');
}

function tokenIn(text: Buffer): string | undefined {
  const read = signaturesSchema.safeParse(parsed(text.toString('utf8')));
  return read.success ? read.data.signatures[0] : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
