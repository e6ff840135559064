// Names an account of a backend without telling its credentials. The name is stored with each session, so that
// a session is used only for the account it was opened with, and with the credentials of that time.
import type { Account } from '../../backend/accounts.ts';
import type { Fingerprint } from '../../keyring/sealing.ts';

/**
 * The keyed fingerprint of an account's key and credentials; '' for the account that all clients share. Changed
 * credentials under the same key give another name: the session of the old user must not serve the new one.
 */
export type AccountRef = (account: Account) => string;

export function createAccountRef(fingerprint: Fingerprint): AccountRef {
  const ref = createCredentialsRef(fingerprint);
  return (account) => (account.key === '' ? '' : ref(account));
}

/** The same for the account that all clients share as well. */
export function createCredentialsRef(fingerprint: Fingerprint): AccountRef {
  const known = new WeakMap<Account, string>();
  return (account) => {
    const before = known.get(account);
    if (before !== undefined) return before;
    const credentials = Object.entries(account.credentials).map(([name, secret]) => [name, secret.reveal()]);
    const ref = fingerprint(JSON.stringify([account.key, credentials.sort()]));
    known.set(account, ref);
    return ref;
  };
}
