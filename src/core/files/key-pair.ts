// A certificate and its key, from two files (PEM).
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { OperatorError } from '../errors.ts';
import { refuseSharedWithOthers } from './secret-file.ts';

/**
 * Reads a certificate and its key. `part` is the key of the configuration that has both. Throws an OperatorError when one
 * cannot be read, others may read the key, or they do not belong together.
 */
export function readKeyPair({ cert_file, key_file }: { cert_file: string; key_file: string }, part: string) {
  const read = (key: string, file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (thrown) {
      throw new OperatorError(`${part}.${key}: ${file} cannot be read: ${(thrown as NodeJS.ErrnoException).code}`);
    }
  };
  refuseSharedWithOthers(key_file);
  const pair = { cert: read('cert_file', cert_file), key: read('key_file', key_file) };
  const problem = problemOf(pair);
  if (problem) throw new OperatorError(`${part}: ${problem({ cert: cert_file, key: key_file })}`);
  return pair;
}

/** Why a certificate and a key cannot be used together, in words for their files; undefined when they can. */
export function problemOf(material: { cert: Buffer | string; key: Buffer | string }) {
  const fails = (use: () => unknown): boolean => {
    try {
      use();
      return false;
    } catch {
      return true;
    }
  };
  if (fails(() => new X509Certificate(material.cert))) return ({ cert }: Files) => `${cert} is no certificate (PEM)`;
  if (fails(() => createPrivateKey(material.key)))
    return ({ key }: Files) => `${key} is no private key (PEM), or one with a passphrase`;
  if (fails(() => createSecureContext(material)))
    return ({ cert, key }: Files) => `${cert} and ${key} are not a certificate and its key`;
  return undefined;
}

interface Files {
  cert: string;
  key: string;
}
