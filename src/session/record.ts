// The stored record of one backend session. There is one for each backend and client.

import type { Bound } from '../decision/schema.ts';
import type { ClientRef } from '../identity/client.ts';

/** Names the session of one client with one backend. `owner` is the client's ref. */
export interface SessionKey {
  readonly backend: string;
  readonly owner: ClientRef;
}

/** A session as it is stored. All times are in milliseconds since 1970. */
export interface SessionRecord extends SessionKey {
  /**
   * 128 random bits in base64url. It names the session over all its generations. It is kept in the store but shown
   * nowhere: policy and logs get its fingerprint.
   */
  readonly id: string;
  /**
   * Starts at 1 and grows with each rotation and with each token that the backend renews. It is the fencing
   * token of every write.
   */
  readonly generation: number;
  /** The generation that the login of the present backend token opened. What the backend renews is of the same login. */
  readonly login: number;
  /**
   * Grows with every change of the row, over all sessions of the client with this backend. A replica that has seen a
   * higher one knows that the store went back.
   */
  readonly serial: number;
  /**
   * When the login that opened the session began. Rotations keep it, so the absolute limit counts from here.
   */
  readonly createdAt: number;
  /**
   * When the login that gave the present backend token began. A token that the backend renewed in an answer is still
   * of that login.
   */
  readonly issuedAt: number;
  /**
   * Number of the newest revocation when the session was opened. Any later revocation may mean this session.
   */
  readonly sinceRevocation: number;
  /**
   * The store's epoch at the last login of the session. Under another epoch, facts about the session may have been
   * forgotten.
   */
  readonly epoch: string;
  /** Who gave the client its id: two issuers may give the same one. */
  readonly issuer: string;
  /** The client, key and places that the session belongs to; see bound.ts. */
  readonly bound: Bound;
  /** Keyed fingerprint of the backend account and its credentials; "" for the account that all clients share. */
  readonly account: string;
  /**
   * Keyed fingerprints of the session id and of the backend token. They stand for the values in policy and logs
   * (R-43).
   */
  readonly fingerprint: string;
  readonly tokenFingerprint: string;
  /**
   * The backend token, sealed with AES-256-GCM to everything else in this record.
   */
  readonly sealed: string;
}

/** Spells the key as one text, for maps and locks inside this process. */
export const sessionKey = ({ backend, owner }: SessionKey): string => `${backend}:${owner}`;

/** The serial of the next change of a row. It grows over sessions, too, because it is not below the time. */
export const nextSerial = (before: Pick<SessionRecord, 'serial'> | undefined, now: number): number =>
  Math.max((before?.serial ?? 0) + 1, Math.floor(now));

/** A login that has not ended, as it is kept outside the store. It has fingerprints and no backend token. */
export interface OpenEntry extends SessionKey {
  /** Fingerprint of the session, and the generation that the login opens; both together name the login. */
  readonly session: string;
  readonly login: number;
  /** When it began, in milliseconds since 1970. */
  readonly at: number;
  /** The store's epoch in which the entry was last found to be right. */
  readonly epoch: string;
}

/** The entry of the login that a record is of. */
export const openEntryOf = ({
  backend,
  owner,
  fingerprint,
  login,
  issuedAt,
  epoch,
}: Omit<SessionRecord, 'sealed' | 'tokenFingerprint'>): OpenEntry => ({
  backend,
  owner,
  session: fingerprint,
  login,
  at: issuedAt,
  epoch,
});

/**
 * Until when a session lasts whose row nothing changes, in milliseconds since 1970. Stores keep a row for a day longer:
 * a session is ended while its token is known, and does not go out of the store by itself. The serial is not below the
 * time of the last change.
 */
export const lastsUntil = ({ serial }: Pick<SessionRecord, 'serial'>): number => serial + 6 * 24 * 3_600_000;
