// Seals backend tokens into session records and opens them again. The seal covers everything else in the record, so a
// record in which anything was changed does not open.

import { isDeepStrictEqual } from 'node:util';
import type { BackendToken, BackendTokenSecret } from '../backend/port.ts';
import { stateOf } from '../backend/session/backend-token.ts';
import { BoundedCache } from '../core/bounded-cache.ts';
import { Secret } from '../core/secret.ts';
import type { Fingerprint, Sealer } from '../keyring/sealing.ts';
import type { SessionRecord } from './record.ts';

type Unsealed = Omit<SessionRecord, 'sealed' | 'tokenFingerprint'>;
type Named = Omit<SessionRecord, 'sealed'>;

/** Keeps backend tokens readable only through the record that they were sealed into. */
export interface Vault {
  /** Answers the record with the backend token sealed into it and with the token's fingerprint. */
  seal(record: Unsealed, backendToken: BackendTokenSecret): SessionRecord;
  /**
   * Answers undefined for a record that was moved to another owner, given another generation, bound elsewhere or made
   * younger, and when the key is gone. An older row that is put back as a whole does open; see seen.ts.
   */
  open(record: SessionRecord): BackendTokenSecret | undefined;
  /** The same, and with keys that were retired while this process runs: only to log the session out. */
  openToEnd(record: SessionRecord): BackendTokenSecret | undefined;
  /** Drops the opened backend token from memory, because it is not needed any more. */
  forget(record: SessionRecord): void;
}

/** Most opened backend tokens that are kept in memory. */
const OPENED = 10_000;

/**
 * Makes a vault that remembers what it has opened. A token whose sealing key was retired is not answered any more
 * (R-42).
 */
export function createVault(sealer: Sealer, fingerprint: Fingerprint): Vault {
  /** Opening a record costs a decryption, so the result is kept with the very record: any other is opened anew. */
  const opened = new BoundedCache<string, { record: SessionRecord; backendToken: BackendTokenSecret }>(OPENED);
  /** Several values of one generation can be kept at the same time, as when an answer has brought a stray one. */
  const name = ({ id, generation, serial, tokenFingerprint }: SessionRecord): string =>
    `${id} ${generation} ${serial} ${tokenFingerprint}`;
  function known(record: SessionRecord): BackendTokenSecret | undefined {
    const before = opened.get(name(record));
    // From a store outside this process the same record comes as another object each time.
    return before && (before.record === record || isDeepStrictEqual(before.record, record))
      ? before.backendToken
      : undefined;
  }
  const read = (plain: Buffer) => new Secret(JSON.parse(plain.toString('utf8')) as BackendToken);

  return {
    seal(record, backendToken) {
      const text = JSON.stringify(backendToken.reveal());
      // The fingerprint leaves out when the cookies were made and end, so that the same token, received twice, has one
      // fingerprint.
      const named = { ...record, tokenFingerprint: fingerprint(stateOf(backendToken.reveal())) };
      const sealed = { ...named, sealed: sealer.seal(Buffer.from(text), context(named)) };
      // Kept as this very object, with which the backend part remembers what was fetched for the session.
      opened.set(name(sealed), { record: sealed, backendToken });
      return sealed;
    },
    open(record) {
      const before = known(record);
      if (before && sealer.holds(record.sealed)) return before;
      const plain = sealer.open(record.sealed, context(record));
      if (!plain) return undefined;
      const backendToken = read(plain);
      opened.set(name(record), { record, backendToken });
      return backendToken;
    },
    openToEnd(record) {
      const plain = sealer.open(record.sealed, context(record), 'to end');
      return plain && (known(record) ?? read(plain));
    },
    forget(record) {
      if (known(record)) opened.delete(name(record));
    },
  };
}

function context({
  owner,
  id,
  generation,
  backend,
  createdAt,
  issuedAt,
  sinceRevocation: since,
  epoch,
  bound,
  account,
  serial,
  fingerprint,
  tokenFingerprint,
  issuer,
  login,
}: Named): string {
  const { client_id, subject, key, ipv4, ipv6, networks } = bound;
  const places = [ipv4?.ip, ipv4?.network, ipv6?.ip, ipv6?.network, ...(networks ? [networks] : [])];
  return JSON.stringify([
    ...[owner, id, generation, backend, createdAt, issuedAt, since, epoch],
    ...[client_id, subject, key, ...places, account, serial, fingerprint, tokenFingerprint, issuer, login],
  ]);
}
