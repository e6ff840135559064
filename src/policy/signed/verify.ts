// Verifies the signature of a policy in OPA's form: .signatures.json holds a JSON Web Signature (RFC 7515) over the names and
// hashes of all files (https://www.openpolicyagent.org/docs/management-bundles#signing). It is verified before anything of
// the policy is looked at, so that nothing unsigned is parsed, and nothing of it runs (R-38).
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { compactVerify, errors } from 'jose';
import { z } from 'zod';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { isObject } from '../../formats/json.ts';
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
    if (!content) throw fail(`${quoted(inside)} is signed and is not there`);
    const made = HASHES[algorithm];
    if (made === undefined) throw fail(`${quoted(inside)} is signed by ${quoted(algorithm)}; sign with SHA-256`);
    if (hashOf(inside, content, made) !== hash.toLowerCase())
      throw fail(`${quoted(inside)} was changed after it was signed`);
    left.delete(inside);
  }
  const [extra] = left;
  if (extra !== undefined) throw fail(`${quoted(extra)} is there and is not signed`);
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
  if (!isData(name)) return hash.update(content).digest('hex');
  return hash.update(sortedJson(dataIn(name, content))).digest('hex');
}

/** Whether a file is hashed by its content. */
export const isData = (name: string): boolean => DATA.includes(basename(name));
const DATA = ['data.json', 'data.yaml', 'data.yml', '.manifest'];

/** What a data file says. Throws an OperatorError for what cannot be read: nobody could say what was signed. */
export function dataIn(name: string, content: Buffer): unknown {
  try {
    const text = content.toString('utf8');
    return /\.ya?ml$/.test(name) ? parseData(text) : JSON.parse(text);
  } catch (thrown) {
    throw new OperatorError(`${quoted(name)} cannot be read as data: ${messageOf(thrown).split('\n')[0]}`);
  }
}

/** JSON as Go writes it: keys in the order of their bytes, also those that look like numbers, and two separators escaped. */
function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join()}]`;
  if (!isObject(value))
    return JSON.stringify(value ?? null)
      .replaceAll('\u2028', '\\u2028')
      .replaceAll('\u2029', '\\u2029');
  const keys = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${keys.map((key) => `${sortedJson(key)}:${sortedJson(value[key])}`).join()}}`;
}

/** A name of a file in a message: whoever writes the folder must not write on the terminal of whoever reads it. */
export const quoted = (name: string): string =>
  /^[\w./-]{1,200}$/.test(name) ? name : JSON.stringify(name.slice(0, 200));

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
