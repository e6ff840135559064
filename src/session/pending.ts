// The names of pending logouts. Each names what is left to do, so that whoever takes it over knows it from the name.
import type { SessionRecord } from './record.ts';

/** Most superseded values of one login that are kept to be logged out; of older ones only the number is kept. */
export const MOST_SUPERSEDED = 8;

/**
 * Names the logout of a backend token. Two logins for one generation give two tokens, and both must be logged out.
 */
export const pendingLogoutName = (record: SessionRecord): string => record.tokenFingerprint;

/** Names a login that has begun: a session may be open at the backend of which nobody has a token yet. */
export const loginName = (lockId: string): string => `login ${lockId}`;

/** Names superseded values of a login that were too many to keep. */
export const olderName = (count: number, { tokenFingerprint }: SessionRecord): string =>
  `older ${count} ${tokenFingerprint}`;

/** What a pending logout is about, by its name. */
export type Pending = { kind: 'token' } | { kind: 'login' } | { kind: 'older'; count: number };

export function pendingOf(name: string): Pending {
  if (name.startsWith('login ')) return { kind: 'login' };
  const count = /^older (\d+) /.exec(name)?.[1];
  return count === undefined ? { kind: 'token' } : { kind: 'older', count: Number(count) };
}

/** Whether both are values of one login: of one session, and not from before and after a rotation. */
export const sameLogin = (a: SessionRecord, b: SessionRecord): boolean => a.id === b.id && a.login === b.login;
