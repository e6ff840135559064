// A token ready for use: its jar, what goes with every request, and what must never come back.
import type { BackendConfig } from '../config/backend-schema.ts';
import { Secret } from '../core/secret.ts';
import type { Account } from './accounts.ts';
import type { Attached } from './conversation.ts';
import { cookieState, createJar, type Jar } from './jar.ts';
import type { BackendToken, TokenSecret } from './port.ts';
import { fillCookies, fillHeaders } from './request.ts';
import { secretsOf, spellings } from './scrub.ts';
import type { Values } from './values.ts';

export interface OpenSession {
  /** As it was sealed. A call takes a copy. */
  readonly jar: Jar;
  readonly attached: Attached;
  readonly values: Values;
  /** Spellings of everything that is blanked in results. */
  readonly secrets: readonly string[];
  readonly token: BackendToken;
  readonly account: Account | undefined;
  /** Tokens for writes, once they were fetched, with the cookies that came with them. */
  csrf: WriteTokens | undefined;
}

export interface WriteTokens {
  values: Record<string, string>;
  jar: Jar;
  secrets: readonly string[];
}

export function openSession(
  { session }: BackendConfig,
  token: BackendToken,
  account: Account | undefined,
): OpenSession {
  const values: Values = (name) =>
    name.startsWith('session.') ? token.values[name.slice('session.'.length)] : undefined;
  // A login name, a tenant or a mail address is data as often as not.
  const passwords = Object.entries(account?.credentials ?? {})
    .filter(([name]) => !/user|login|mail|tenant/.test(name))
    .map(([, secret]) => secret.reveal());
  return {
    jar: createJar(token.cookies),
    attached: { headers: fillHeaders(session.headers, values), cookies: fillCookies(session.send_cookies, values) },
    values,
    secrets: spellings([...secretsOf(token, session.public), ...passwords]),
    token,
    account,
    csrf: undefined,
  };
}

/** a session cookie that the backend changed in a good answer makes a new token. */
export function renewedToken({ session }: BackendConfig, open: OpenSession, jar: Jar): TokenSecret | undefined {
  if (jar === open.jar) return undefined;
  const before = cookieState(open.jar.keep(session.cookies));
  const after = jar.keep(session.cookies);
  const now = cookieState(after);
  // A cookie taken away is a logout, not a renewal: the next call will find out.
  const changed = [...now].some(([name, value]) => before.get(name) !== value);
  if (!changed || [...before.keys()].some((name) => !now.has(name))) return undefined;
  return new Secret({ cookies: after, values: open.token.values });
}
