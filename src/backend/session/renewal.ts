// What an answer changes in a backend session. A backend may set a new cookie or value with any answer,
// several answers may do so at once, and an answer that is no good may bring one, too. None of them is dropped: each
// may be a live session.
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { Extraction } from '../../config/schema/extraction.ts';
import { Secret } from '../../core/secret.ts';
import { type Extracted, extract } from '../answer/extract.ts';
import { cookieExpiry, cookieId, createJar, isNamed, type Jar, type StoredCookie } from '../http/jar.ts';
import type { BackendResponse } from '../http/response.ts';
import type { BackendToken, BackendTokenSecret } from '../port.ts';
import { stateOf } from './backend-token.ts';

/**
 * A later end of the same cookie is stored when it wins at least this part of the cookie's lifetime. A backend that
 * moves the end a little with every answer would otherwise have the session written with every call.
 */
const WORTH = 0.1;

const known = new WeakMap<BackendConfig, Record<string, Extraction>>();

/**
 * Where a good answer brings new values of the session: as `session.renew` says, and the header in which a login step
 * found a value, where the session sends the value under that very name. A backend that gives the next token with every
 * answer does so in that header.
 */
function renewals(config: BackendConfig): Record<string, Extraction> {
  const { session, login } = config;
  const before = known.get(config);
  if (before) return before;
  const sent = new Map(Object.entries(session.headers).map(([name, template]) => [name.toLowerCase(), template]));
  const found = login
    .flatMap((step) => Object.entries(step.extract ?? {}))
    .filter(
      ([name, extraction]) =>
        session.values.includes(name) &&
        'header' in extraction &&
        !('regex' in extraction) &&
        sent.get(extraction.header.toLowerCase()) === `{session.${name}}`,
    );
  const all = { ...Object.fromEntries(found), ...session.renew };
  known.set(config, all);
  return all;
}

/**
 * The session's values with those that the answer brings, as `renewals` says, or undefined when it brings nothing
 * new. Throws a PageTooDeepError.
 */
export function renewedValues(
  config: BackendConfig,
  values: BackendToken['values'],
  response: BackendResponse,
  jar: Jar,
): BackendToken['values'] | undefined {
  const found = Object.entries(renewals(config)).flatMap(([name, extraction]): [string, Extracted][] => {
    const value = extract(extraction, response, jar);
    return typeof value === 'string' && value !== values[name] ? [[name, value]] : [];
  });
  return found.length === 0 ? undefined : { ...values, ...(Object.fromEntries(found) as BackendToken['values']) };
}

/**
 * The backend token that the session has after answers made `after` of `before`, or undefined when nothing of it has
 * changed. A backend that takes a session cookie away without setting another has logged out, which is no renewal; a
 * session in several cookies may need fewer of them than before.
 */
export function renewed(
  { session }: BackendConfig,
  before: BackendToken,
  after: BackendToken,
): BackendTokenSecret | undefined {
  const had = before.cookies as StoredCookie[];
  const has = after.cookies as StoredCookie[];
  const gone = session.cookies.some(
    (name) => had.some(({ key }) => isNamed(key, name)) && !has.some(({ key }) => isNamed(key, name)),
  );
  if (gone) return undefined;
  return stateOf(before) !== stateOf(after) || has.some((cookie) => livesLonger(cookie, had))
    ? new Secret(after)
    : undefined;
}

/** Whether the cookies of `after` have a value that those of `before` had not. */
export function bringsNew(before: BackendToken, after: BackendToken): boolean {
  const had = byId(before.cookies);
  return (after.cookies as StoredCookie[]).some((cookie) => had.get(cookieId(cookie))?.value !== cookie.value);
}

function livesLonger(cookie: StoredCookie, before: readonly StoredCookie[]): boolean {
  const old = before.find((each) => cookieId(each) === cookieId(cookie));
  if (!old) return false;
  const [was, is] = [cookieExpiry(old), cookieExpiry(cookie)];
  if (was === is) return false;
  if (was === Number.POSITIVE_INFINITY || is === Number.POSITIVE_INFINITY) return true;
  return is < was || is - was >= WORTH * (is - Date.now());
}

/**
 * What is stored when an answer has made `mine` of `base` and another answer has stored `present` meanwhile: the
 * newest value of each cookie and value, where this answer counts as the newer one, since it came later.
 */
export function merged(base: BackendToken, mine: BackendToken, present: BackendToken): BackendToken {
  const was = byId(base.cookies);
  const is = byId(mine.cookies);
  const cookies = byId(present.cookies);
  for (const [id, cookie] of is) if (differs(was.get(id), cookie)) cookies.set(id, cookie);
  for (const id of was.keys()) if (!is.has(id)) cookies.delete(id);
  const values = { ...present.values };
  for (const [name, value] of Object.entries(mine.values)) if (base.values[name] !== value) values[name] = value;
  return { cookies: [...cookies.values()], values };
}

const byId = (cookies: readonly object[]) => new Map((cookies as StoredCookie[]).map((each) => [cookieId(each), each]));

const differs = (a: StoredCookie | undefined, b: StoredCookie): boolean =>
  a === undefined || a.value !== b.value || cookieExpiry(a) !== cookieExpiry(b);

/**
 * The backend token that an answer which is no good has brought beside the session: a new value of a session cookie or
 * of a value that answers renew. Undefined when it brought none. It does not become the session's, because it may be
 * that of an anonymous visitor, but it may also be a logged-in copy.
 */
export function strayOf(
  config: BackendConfig,
  { cookies, values }: BackendToken,
  { setCookies, url, response }: { setCookies: readonly string[]; url: string; response?: BackendResponse | undefined },
): BackendTokenSecret | undefined {
  const { session } = config;
  if (setCookies.length === 0 && Object.keys(renewals(config)).length === 0) return undefined;
  const jar = createJar(cookies);
  jar.store(setCookies, url);
  const kept = jar.keep(session.cookies) as StoredCookie[];
  const fresh = bringsNew({ cookies, values }, { cookies: kept, values });
  const brought = response && readable(() => renewedValues(config, values, response, jar));
  return fresh || brought ? new Secret({ cookies: kept, values: brought ?? values }) : undefined;
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
