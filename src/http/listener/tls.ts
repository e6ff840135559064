// The certificate and key of a TLS listener.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type TlsOptions } from 'node:tls';
import { OperatorError } from '../../core/errors.ts';
import { readCaFile } from '../../core/files/ca-file.ts';
import { refuseSharedWithOthers } from '../../core/files/secret-file.ts';

/** PEM files of a listener. */
export interface TlsFiles {
  cert_file: string;
  key_file: string;
  client_ca_file?: string | undefined;
}

/**
 * Reads certificate, key and client CA; throws an OperatorError when they cannot be used. A client certificate is
 * requested but not demanded: the access token says whether there must be one, and which (RFC 8705 §3). Whether
 * its CA is accepted is decided together with the credential. `demanded`: whoever has no certificate of the CA is turned
 * away at once.
 */
export function readTls(
  { cert_file, key_file, client_ca_file }: TlsFiles,
  demanded = false,
  part = 'listen.tls',
): TlsOptions {
  const read = (key: string, file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (thrown) {
      throw new OperatorError(`${part}.${key}: ${file} cannot be read: ${(thrown as NodeJS.ErrnoException).code}`);
    }
  };
  refuseSharedWithOthers(key_file);
  const material = {
    cert: read('cert_file', cert_file),
    key: read('key_file', key_file),
    ...(client_ca_file !== undefined && { ca: readCaFile(client_ca_file, `${part}.client_ca_file`) }),
  };
  const problem = problemOf(material);
  if (problem) throw new OperatorError(`${part}: ${problem({ cert: cert_file, key: key_file })}`);
  return { ...material, minVersion: 'TLSv1.2', requestCert: true, rejectUnauthorized: demanded };
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
