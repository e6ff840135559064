// The keys of an issuer as a set (RFC 7517), from a file or a server. A set that could verify nothing is none: a provider
// that is half up, or an empty file, must not take the place of keys that are good.
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as requestPlainly } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { OperatorError } from '../../core/errors.ts';
import { isObject } from '../../formats/json.ts';

/** A set with at least one public key that can be used. */
export interface KeySet {
  keys: JsonWebKey[];
}

/** A key set is small. A longer answer is none. */
const MOST_BYTES = 1_048_576;

/** RFC 7518 §3.3; with fewer, jose verifies nothing. */
const LEAST_RSA_BITS = 2048;

/** Reads a set. Throws an Error that says what is wrong with it and quotes nothing of it. */
export function parseKeySet(text: string): KeySet {
  let set: unknown;
  try {
    set = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    throw new Error('no JSON');
  }
  if (!isObject(set) || !Array.isArray(set.keys) || !set.keys.every(isObject)) throw new Error('no JWK set (RFC 7517)');
  if (set.keys.length === 0) throw new Error('a JWK set without keys');
  // A secret key (kty "oct") would let whoever can read this file sign tokens of his own.
  if (set.keys.some(({ kty }) => kty === 'oct')) throw new Error('a JWK set with a secret key (kty "oct")');
  if (!set.keys.some(isUsable)) throw new Error('a JWK set without a public key that can be used');
  return set as unknown as KeySet;
}

function isUsable(key: Record<string, unknown>): boolean {
  if (key.use !== undefined && key.use !== 'sig') return false;
  if (Array.isArray(key.key_ops) && !key.key_ops.includes('verify')) return false;
  try {
    const { asymmetricKeyDetails: details } = createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
    return details?.modulusLength === undefined || details.modulusLength >= LEAST_RSA_BITS;
  } catch {
    return false;
  }
}

/** The set in a file. Throws an OperatorError when it cannot be used. */
export function readKeySet(file: string): { set: KeySet; text: string } {
  try {
    const text = readFileSync(file, 'utf8');
    return { set: parseKeySet(text), text };
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    throw new OperatorError(`${file} cannot be used as a JWK set: ${code ?? `it is ${message}`}`);
  }
}

/**
 * The text that a server gives. The fetch of Node knows no private CA and reads answers of any length. Rejects with an
 * Error whose message or code says why, and names nothing of the address. `ca`: PEM; undefined means the public ones.
 */
export function fetchKeySet(url: string, ca: string | undefined, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new URL(url).protocol === 'https:' ? requestSecurely : requestPlainly;
    const signal = AbortSignal.timeout(timeoutMs);
    const failed = (thrown: NodeJS.ErrnoException) =>
      reject(signal.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : thrown);
    const headers = { accept: 'application/json', 'user-agent': 'sallyport' };
    const sent = request(url, { headers, signal, ...(ca !== undefined && { ca }) }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MOST_BYTES) response.destroy(new Error(`an answer of more than ${MOST_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.once('error', failed);
      response.once('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
        else failed(new Error(`the answer has status ${response.statusCode}`));
      });
    });
    sent.once('error', failed);
    sent.end();
  });
}
