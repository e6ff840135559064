// The certificate and key of a TLS listener.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type TlsOptions } from 'node:tls';
import { messageOf, OperatorError } from '../../core/errors.ts';
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
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (thrown) {
      throw new OperatorError(`${part}: ${messageOf(thrown)}`);
    }
  };
  refuseSharedWithOthers(key_file);
  const material = {
    cert: read(cert_file),
    key: read(key_file),
    ...(client_ca_file !== undefined && { ca: read(client_ca_file) }),
  };
  try {
    createSecureContext(material);
  } catch {
    throw new OperatorError(`${part}: ${cert_file} and ${key_file} are not a certificate and its key (PEM)`);
  }
  // Node takes a CA without a certificate, and then accepts nobody.
  if (client_ca_file !== undefined) refuseEmptyCa(client_ca_file, String(material.ca), part);
  return { ...material, minVersion: 'TLSv1.2', requestCert: true, rejectUnauthorized: demanded };
}

function refuseEmptyCa(file: string, text: string, part: string): void {
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  try {
    if (certificates.length === 0) throw new Error('none');
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch {
    throw new OperatorError(`${part}: ${file} has no certificate of a CA (PEM), or one that cannot be read`);
  }
}
