// Whose account a call uses at the backend: the one all share, or that of the client, of the user, or of
// what a claim of the token says. Nobody without an account gets somebody else's.

import type { AccountTable } from '../config/accounts-file.ts';
import type { AccountsConfig } from '../config/schema/backend.ts';
import type { Secret } from '../core/secret.ts';

/** What is needed of the client to know its account. */
export interface ClientIdentity {
  readonly id: string;
  readonly subject: string;
  /** Claims of its token that some backend's configuration names. */
  readonly claims: Readonly<Record<string, string>>;
}

/** `key` names the account within its backend: "" is the shared one. A session belongs to one account. */
export interface Account {
  readonly key: string;
  readonly credentials: Readonly<Record<string, Secret>>;
}

export type Accounts = (caller: ClientIdentity) => Account | undefined;

export function createAccounts(
  shared: Readonly<Record<string, Secret>>,
  by: AccountsConfig['by'] | undefined,
  table: () => AccountTable,
): Accounts {
  if (by === undefined) {
    const only: Account = { key: '', credentials: shared };
    return () => only;
  }
  /** One object for each account, as long as the table is the same. */
  const known = new WeakMap<AccountTable, Map<string, Account>>();
  return (caller) => {
    const key = keyOf(caller, by);
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

/** Claims that have to be kept of a token, because they name an account somewhere. */
export const accountClaims = (backends: Record<string, { accounts?: AccountsConfig | undefined }>): string[] =>
  Object.values(backends).flatMap(({ accounts }) => (typeof accounts?.by === 'object' ? [accounts.by.claim] : []));
