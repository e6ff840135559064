// When the certificates end that a configuration names: those that it shows, and those of the authorities that it trusts.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from './load.ts';

/** Certificates and keys that end sooner than this are named. */
export const SOON_DAYS = 30;

/** The first end of the certificates in one file, in milliseconds since 1970; `path` is its place in connector.yaml. */
export interface CertificateEnd {
  path: string[];
  endsAt: number;
}

/** Files that cannot be read are left out: whoever uses them says what is wrong. */
export function certificateEnds({ listen, admin, backends, identity, store, alerts }: Config): CertificateEnd[] {
  const jwks = identity.jwt?.jwks;
  const files: [path: string[], file: string | undefined][] = [
    [['listen', 'tls', 'cert_file'], listen.tls?.cert_file],
    [['listen', 'tls', 'client_ca_file'], listen.tls?.client_ca_file],
    [['admin', 'tls', 'cert_file'], admin?.tls?.cert_file],
    [['admin', 'tls', 'client_ca_file'], admin?.tls?.client_ca_file],
    [['store', 'redis', 'ca_file'], store.redis?.ca_file],
    [['identity', 'jwt', 'jwks', 'ca_file'], jwks && 'url' in jwks ? jwks.ca_file : undefined],
    ...Object.entries(backends).flatMap(([name, { ca_file, tls }]): typeof files => [
      [['backends', name, 'ca_file'], ca_file],
      [['backends', name, 'tls', 'cert_file'], tls?.cert_file],
    ]),
    ...Object.entries(alerts.receivers).flatMap(([name, receiver]): typeof files => {
      const at = ['alerts', 'receivers', name];
      const own = 'cert_file' in receiver ? receiver.cert_file : undefined;
      return [
        [[...at, 'ca_file'], 'ca_file' in receiver ? receiver.ca_file : undefined],
        [[...at, 'cert_file'], own],
      ];
    }),
  ];
  return files.flatMap(([path, file]) => {
    const endsAt = file === undefined ? undefined : firstEnd(file);
    return endsAt === undefined ? [] : [{ path, endsAt }];
  });
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function firstEnd(file: string): number | undefined {
  try {
    const ends = (readFileSync(file, 'utf8').match(CERTIFICATE) ?? []).map((text) =>
      Date.parse(new X509Certificate(text).validTo),
    );
    return ends.length === 0 ? undefined : Math.min(...ends);
  } catch {
    return undefined;
  }
}
