// Seals tokens into records and opens them again. A record opens only as it was sealed: everything a
// decision relies on is part of the seal.

import type { BackendToken, BackendTokenSecret } from '../backend/port.ts';
import { stateOf } from '../backend/session/backend-token.ts';
import { BoundedCache } from '../core/bounded-cache.ts';
import { Secret } from '../core/secret.ts';
import type { Fingerprint, Sealer } from '../keyring/sealing.ts';
import type { SessionRecord } from './record.ts';

type Unsealed = Omit<SessionRecord, 'sealed' | 'tokenFingerprint'>;

export interface Vault {
  seal(record: Unsealed, backendToken: BackendTokenSecret): SessionRecord;
  /** Undefined for a record that was moved, rolled back, bound elsewhere or made younger. */
  open(record: SessionRecord): BackendTokenSecret | undefined;
  /** The token is not needed any more. */
  forget(record: SessionRecord): void;
}

const OPENED = 10_000;

export function createVault(sealer: Sealer, fingerprint: Fingerprint): Vault {
  /** Opening costs a decryption. The sealed text is part of the key, so a changed record is opened anew. */
  const opened = new BoundedCache<string, BackendTokenSecret>(OPENED);
  const key = (record: SessionRecord): string => `${context(record)} ${record.sealed}`;

  return {
    seal(record, backendToken) {
      const text = JSON.stringify(backendToken.reveal());
      return {
        ...record,
        sealed: sealer.seal(Buffer.from(text), context(record)),
        // What the token is, not when its cookies were made: the same one twice is one.
        tokenFingerprint: fingerprint(stateOf(backendToken.reveal())),
      };
    },
    open(record) {
      const known = opened.get(key(record));
      if (known && sealer.holds(record.sealed)) return known;
      const plain = sealer.open(record.sealed, context(record));
      if (!plain) return undefined;
      const backendToken = new Secret(JSON.parse(plain.toString('utf8')) as BackendToken);
      opened.set(key(record), backendToken);
      return backendToken;
    },
    forget: (record) => void opened.delete(key(record)),
  };
}

function context({
  owner,
  id,
  generation,
  backend,
  createdAt,
  issuedAt,
  sinceRevocation: revision,
  epoch,
  bound,
  account,
}: Unsealed): string {
  const { client_id, subject, key, ipv4, ipv6 } = bound;
  const places = [ipv4?.ip, ipv4?.network, ipv6?.ip, ipv6?.network];
  return JSON.stringify([
    ...[owner, id, generation, backend, createdAt, issuedAt, revision, epoch],
    ...[client_id, subject, key, ...places, account],
  ]);
}
