// Files with the certificates of authorities (PEM). Node takes one without a certificate, and then trusts nobody.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { OperatorError } from '../errors.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * Reads the certificates of a CA. `part` is the key or the option that names the file. Throws an OperatorError when it
 * cannot be read, has none, or has one that cannot be read.
 */
export function readCaFile(file: string, part: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new OperatorError(`${part}: ${file} cannot be read: ${(thrown as NodeJS.ErrnoException).code}`);
  }
  try {
    const certificates = text.match(CERTIFICATE) ?? [];
    if (certificates.length === 0) throw new Error('none');
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch {
    throw new OperatorError(`${part}: ${file} has no certificate of a CA (PEM), or one that cannot be read`);
  }
  return text;
}
