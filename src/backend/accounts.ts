// Chooses the account that a call uses at the backend: one shared by all clients, or one of its own for each
// client id, user or value of a claim of the access token. A client without an entry gets no account at all, never
// the shared one or that of somebody else.

import type { AccountTable } from '../config/accounts-file.ts';
import type { AccountsConfig } from '../config/schema/backend.ts';
import type { Secret } from '../core/secret.ts';

/** The parts of a client's identity that choose its account. */
export interface ClientIdentity {
  readonly id: string;
  readonly subject: string;
  /** Those claims of its access token that some backend names under `accounts.by`; empty for an API key. */
  readonly claims: Readonly<Record<string, string>>;
}

/**
 * Credentials to log in with. `key` names the account within its backend; "" is the shared one. A session belongs
 * to one account, and is never used for a client that has another.
 */
export interface Account {
  readonly key: string;
  readonly credentials: Readonly<Record<string, Secret>>;
}

/** The account of a client, or undefined when it has none at this backend. */
export type Accounts = (client: ClientIdentity) => Account | undefined;

/**
 * `shared`: credentials that every account has. `by`: what chooses the account; undefined: all clients share one.
 * `table` is asked at every call, because the file of accounts may have been read again since.
 */
export function createAccounts(
  shared: Readonly<Record<string, Secret>>,
  by: AccountsConfig['by'] | undefined,
  table: () => AccountTable,
): Accounts {
  if (by === undefined) {
    const only: Account = { key: '', credentials: shared };
    return () => only;
  }
  /** The same object for the same account until the table is read again: open sessions are compared by it. */
  const known = new WeakMap<AccountTable, Map<string, Account>>();
  return (client) => {
    const key = keyOf(client, by);
    const current = table();
    const own = key === undefined ? undefined : current.get(key);
    if (!own || key === undefined) return undefined;
    const accounts = known.get(current) ?? new Map<string, Account>();
    known.set(current, accounts);
    const account = accounts.get(key) ?? { key, credentials: { ...shared, ...own } };
    accounts.set(key, account);
    return account;
  };
}

function keyOf({ id, subject, claims }: ClientIdentity, by: AccountsConfig['by']): string | undefined {
  if (by === 'client') return id;
  if (by === 'subject') return subject;
  return Object.hasOwn(claims, by.claim) ? claims[by.claim] : undefined;
}

/** Names of the claims that must be kept from an access token, because some backend chooses accounts by them. */
export const accountClaims = (backends: Record<string, { accounts?: AccountsConfig | undefined }>): string[] =>
  Object.values(backends).flatMap(({ accounts }) => (typeof accounts?.by === 'object' ? [accounts.by.claim] : []));
