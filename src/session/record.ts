// What is kept about one backend session. One per backend and client.

import type { Bound } from '../decision/schema.ts';
import type { ClientRef } from '../identity/client.ts';

/** Names the session of one client with one backend. `owner` is the client's ref. */
export interface SessionKey {
  readonly backend: string;
  readonly owner: ClientRef;
}

/** Stored form. Times are milliseconds since the epoch. */
export interface SessionRecord extends SessionKey {
  /** 128 random bits, base64url. Names the session over all its generations; never leaves the process. */
  readonly id: string;
  /** Counts rotations from 1. The fencing token for every write. */
  readonly generation: number;
  readonly createdAt: number;
  /** When the login that gave the present token happened. */
  readonly issuedAt: number;
  /** Number of the newest revocation when the session was opened: later ones may mean it. */
  readonly sinceRevocation: number;
  /** Epoch of the store at the login of the present token: facts of another one may be forgotten. */
  readonly epoch: string;
  readonly bound: Bound;
  /** Keyed fingerprint of the account at the backend; "" for the one that all clients share. */
  readonly account: string;
  /** Keyed fingerprints, for policy and logs. */
  readonly fingerprint: string;
  readonly tokenFingerprint: string;
  /** The token, AES-256-GCM sealed to owner, session and generation. */
  readonly sealed: string;
}

export const sessionKey = ({ backend, owner }: SessionKey): string => `${backend}:${owner}`;
