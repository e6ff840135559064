// Certificates for one test, made with openssl: one for a server, and self-signed ones for clients.
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  certFile: string;
  keyFile: string;
  cert: string;
  key: string;
  /** base64url SHA-256 of the DER, as `cnf.x5t#S256` has it. */
  thumbprint: string;
  der: Buffer;
}

export interface Certificates {
  make(name: string, signer?: Certificate, days?: number): Certificate;
  remove(): void;
}

export function createCertificates(): Certificates {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-certs-'));
  return {
    make(name, signer, days = 2) {
      const [certFile, keyFile] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
      const args = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        String(days),
      ];
      const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
      const signed = signer ? ['-CA', signer.certFile, '-CAkey', signer.keyFile] : [];
      execFileSync('openssl', [...args, ...names, ...signed, '-keyout', keyFile, '-out', certFile], { stdio: 'pipe' });
      chmodSync(keyFile, 0o600);
      const cert = readFileSync(certFile, 'utf8');
      const der = new X509Certificate(cert).raw;
      const thumbprint = createHash('sha256').update(der).digest('base64url');
      return { certFile, keyFile, cert, key: readFileSync(keyFile, 'utf8'), thumbprint, der };
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
