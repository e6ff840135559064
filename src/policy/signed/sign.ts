// Signs a policy folder in OPA's form, as `opa sign` does, and says when: the connector tells by that which of two is older.
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { CompactSign } from 'jose';
import { OperatorError } from '../../core/errors.ts';
import { readSecretFile } from '../../core/files/secret-file.ts';
import type { Files } from './files.ts';
import { algorithmsOf, hashOf, SIGNATURES } from './verify.ts';

/** Answers the content of .signatures.json. Rejects with an OperatorError for a key that cannot sign. */
export async function sign(files: Files, keyFile: string, seconds: number): Promise<string> {
  const key = readPrivateKey(keyFile);
  const [alg] = algorithmsOf(createPublicKey(key));
  if (alg === undefined)
    throw new OperatorError(`${keyFile} is no key for signatures; give RSA (2048 bits), EC or Ed25519`);
  const signed = [...files]
    .filter(([name]) => name !== SIGNATURES)
    .map(([name, content]) => ({ name, hash: hashOf(name, content), algorithm: 'SHA-256' }));
  const payload = Buffer.from(JSON.stringify({ files: signed, iat: seconds }));
  const token = await new CompactSign(payload).setProtectedHeader({ alg, typ: 'JWT' }).sign(key);
  return `${JSON.stringify({ signatures: [token] })}\n`;
}

function readPrivateKey(file: string): KeyObject {
  const pem = readSecretFile(file);
  try {
    return createPrivateKey(pem);
  } catch {
    throw new OperatorError(`${file} is no private key in PEM without a password`);
  }
}

/** Where the signature of a folder stands. */
export const signatureIn = (dir: string): string => join(dir, SIGNATURES);
