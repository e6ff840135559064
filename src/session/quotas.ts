// What a backend is spared over all replicas: calls at a time, logins a minute, and failed logins of one account, which the
// system might lock for the people who use it.

import type { BackendQuota } from '../backend/port.ts';

/** How many logins there may be. */
export type LoginQuota = Pick<BackendQuota, 'perMinute' | 'failures'>;

/** The quotas of all backends, by their names. Every method rejects when the store does not answer. */
export interface BackendQuotas {
  /**
   * Takes one of `most` places for a call of this name, which ends by itself after `leaseMs`, so that a replica that dies
   * gives its places back. False when all are taken.
   */
  enter(backend: string, call: string, most: number, leaseMs: number): Promise<boolean>;
  leave(backend: string, call: string): Promise<void>;
  /**
   * Counts a login that is about to begin. Answers 0, or after how many milliseconds one may begin; then it is not counted.
   * `account`: a name that tells one account, with its present credentials, from others.
   */
  login(backend: string, account: string, quota: LoginQuota): Promise<number>;
  /** Notes how the backend has answered a login: a good one forgets the failures of the account. */
  answered(backend: string, account: string, accepted: boolean, quota: LoginQuota): Promise<void>;
}
