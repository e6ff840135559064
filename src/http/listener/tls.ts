// The certificate and key of a TLS listener.

import type { TlsOptions } from 'node:tls';
import { readCaFile } from '../../core/files/ca-file.ts';
import { readKeyPair } from '../../core/files/key-pair.ts';

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
  const material = {
    ...readKeyPair({ cert_file, key_file }, part),
    ...(client_ca_file !== undefined && { ca: readCaFile(client_ca_file, `${part}.client_ca_file`) }),
  };
  return { ...material, minVersion: 'TLSv1.2', requestCert: true, rejectUnauthorized: demanded };
}
