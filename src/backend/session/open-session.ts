// A token ready for use: its jar, what goes with every request, and what must never come back.
import type { BackendConfig } from '../../config/schema/backend.ts';
import { Secret } from '../../core/secret.ts';
import { placeholders } from '../../formats/template.ts';
import type { Account } from '../accounts.ts';
import { compose, templateOf } from '../answer/extract.ts';
import { type Spelling, secretsOf, spellings } from '../answer/scrub.ts';
import { cookieState, createJar, type Jar } from '../http/jar.ts';
import { fillCookies, fillHeaders } from '../http/request.ts';
import type { Attached } from '../http/send.ts';
import type { Values } from '../http/values.ts';
import type { BackendToken, BackendTokenSecret } from '../port.ts';
import type { Fetched } from './csrf.ts';

export interface OpenSession {
  /** As it was sealed. A call goes on from it with a copy. */
  readonly jar: Jar;
  readonly attached: Attached;
  readonly values: Values;
  /** Spellings of everything that is blanked in results. */
  readonly secrets: readonly Spelling[];
  readonly token: BackendToken;
  readonly account: Account | undefined;
  /** Tokens for writes, or the request for them that is under way: two would void each other's. */
  csrf: Promise<Fetched> | undefined;
}

/** Names of credentials that are data as often as not. Everything else is a secret. */
const NAMES =
  /^(user|username|user_?name|user_?id|login|login_?name|account|client|e?mail|tenant|company|domain|realm)$/;

/** Throws an UnbuildableError for a token that lacks what the configuration makes headers and cookies of. */
export function openSession(
  config: BackendConfig,
  backendToken: BackendToken,
  account: Account | undefined,
): OpenSession {
  const { session } = config;
  const values: Values = (name) =>
    name.startsWith('session.') ? backendToken.values[name.slice('session.'.length)] : undefined;
  return {
    jar: createJar(backendToken.cookies),
    attached: { headers: fillHeaders(session.headers, values), cookies: fillCookies(session.send_cookies, values) },
    values,
    secrets: spellings([...secretsOf(backendToken, session.public), ...credentialsOf(config, account)]),
    token: backendToken,
    account,
    csrf: undefined,
  };
}

/** Passwords, and what a login makes of them alone: a digest that logs in is as good as the password. */
function credentialsOf({ login }: BackendConfig, account: Account | undefined): string[] {
  const known = new Map<string, string>();
  const secret = new Set<string>();
  for (const [name, value] of Object.entries(account?.credentials ?? {})) {
    known.set(`credentials.${name}`, value.reveal());
    if (!NAMES.test(name)) secret.add(`credentials.${name}`);
  }
  for (const [name, composition] of login.flatMap((step) => Object.entries(step.compose ?? {}))) {
    const names = placeholders(templateOf(composition));
    if (!names.every((of) => known.has(of))) continue;
    known.set(
      name,
      compose(composition, (of) => known.get(of) ?? ''),
    );
    if (names.some((of) => secret.has(of))) secret.add(name);
  }
  return [...secret].map((name) => known.get(name) ?? '');
}

/** a session cookie that the backend changed in a good answer makes a new token. */
export function renewedBackendToken(
  { session }: BackendConfig,
  open: OpenSession,
  jar: Jar,
): BackendTokenSecret | undefined {
  if (jar === open.jar) return undefined;
  const before = cookieState(open.jar.keep(session.cookies));
  const after = jar.keep(session.cookies);
  const now = cookieState(after);
  // A cookie taken away is a logout, not a renewal: the next call will find out.
  const changed = [...now].some(([name, value]) => before.get(name) !== value);
  if (!changed || [...before.keys()].some((name) => !now.has(name))) return undefined;
  return new Secret({ cookies: after, values: open.token.values });
}
