// What TLS to a backend is spoken with: its authority or its pinned key, the name to expect, and a certificate of our own.
import { createHash, type X509Certificate } from 'node:crypto';
import type { BackendConfig } from '../../../config/schema/backend.ts';
import { readCaFile } from '../../../core/files/ca-file.ts';
import { readKeyPair } from '../../../core/files/key-pair.ts';

export interface BackendTls {
  /** Options of node:tls. */
  options: {
    rejectUnauthorized: boolean;
    ca?: string;
    cert?: Buffer;
    key?: Buffer;
    servername?: string;
    maxCachedSessions?: number;
  };
  /** Whether the key of the backend's certificate is one that is pinned. Always true where none is. */
  pinned(certificate: X509Certificate | undefined): boolean;
}

/**
 * Reads the files. With `tls.pin` the key alone is what the backend is known by, as administrators of appliances do it with
 * a certificate that names nobody: the chain, the name and the end of the certificate are not looked at. Throws an
 * OperatorError.
 */
export function readBackendTls({ ca_file, tls }: Pick<BackendConfig, 'ca_file' | 'tls'>, part: string): BackendTls {
  const pins = tls?.pin ?? [];
  const { cert_file, key_file, server_name } = tls ?? {};
  const pair =
    cert_file !== undefined && key_file !== undefined ? readKeyPair({ cert_file, key_file }, `${part}.tls`) : {};
  return {
    options: {
      rejectUnauthorized: pins.length === 0,
      // A session that is taken up again shows no certificate, and so no key.
      ...(pins.length > 0 && { maxCachedSessions: 0 }),
      ...(ca_file !== undefined && { ca: readCaFile(ca_file, `${part}.ca_file`) }),
      ...pair,
      ...(server_name !== undefined && { servername: server_name }),
    },
    pinned: (certificate) => pins.length === 0 || (certificate !== undefined && pins.includes(keyPin(certificate))),
  };
}

/** SHA-256 of the public key (SubjectPublicKeyInfo) in base64, as RFC 7469 §2.4 and curl have it. */
export const keyPin = (certificate: X509Certificate): string =>
  createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
