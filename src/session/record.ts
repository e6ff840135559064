// What is kept about one backend session. One per backend and client.
import { isObject } from '../formats/json.ts';
import type { Bound } from '../decision/schema.ts';

/** Names the session of one client with one backend. `owner` is the client's ref. */
export interface SessionKey {
  readonly backend: string;
  readonly owner: string;
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
  readonly revision: number;
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

/** A stored record, if it is one. Whoever can write to the store can write anything. */
export function readRecord(value: unknown): SessionRecord | undefined {
  if (!isObject(value) || !isObject(value.bound)) return undefined;
  const { bound } = value;
  const texts = ['backend', 'owner', 'id', 'epoch', 'account', 'fingerprint', 'tokenFingerprint', 'sealed'];
  const numbers = ['generation', 'createdAt', 'issuedAt', 'revision'];
  const place = (slot: unknown) =>
    slot === null || (isObject(slot) && typeof slot.ip === 'string' && typeof slot.network === 'string');
  const sound =
    texts.every((name) => typeof value[name] === 'string') &&
    numbers.every((name) => Number.isSafeInteger(value[name])) &&
    typeof bound.client_id === 'string' &&
    typeof bound.subject === 'string' &&
    (bound.key === null || typeof bound.key === 'string') &&
    place(bound.ipv4) &&
    place(bound.ipv6);
  return sound ? (value as unknown as SessionRecord) : undefined;
}
