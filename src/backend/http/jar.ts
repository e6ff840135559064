// The only home of tough-cookie. Each session has a jar of its own, which follows the Domain, Path, Secure
// and prefix rules of RFC 6265bis. Never print a jar: its text form contains the cookie values.
import { Cookie, CookieJar, pathMatch } from 'tough-cookie';
import type { CookieName } from '../../config/schema/backend.ts';
import { pattern } from '../../formats/pattern.ts';

/** The cookies of one backend session or one login. */
export interface Jar {
  /** Takes in the Set-Cookie headers of the answer from `url`; cookies that the rules forbid are dropped. */
  store(setCookies: readonly string[], url: string): void;
  /** The value of the Cookie header for a request to this URL, or undefined when no cookie applies. */
  header(url: string): string | undefined;
  /** The value of the live cookie with this name; of several the one with the longest path. */
  value(name: string): string | undefined;
  names(): string[];
  /**
   * The live cookies with these names, serialised. The session keeps no others: a remember-me cookie, for example,
   * would still log in after the session has ended.
   */
  keep(names: readonly CookieName[]): object[];
  /** A jar with the same cookies that changes independently. `besides` replaces the same cookies; see `cookieId`. */
  copy(besides?: readonly object[]): Jar;
}

/** `cookies`: serialised ones, as `keep` gives them. */
export function createJar(cookies: readonly object[] = []): Jar {
  const jar = CookieJar.deserializeSync({
    version: 'tough-cookie',
    storeType: 'MemoryCookieStore',
    rejectPublicSuffixes: true,
    enableLooseMode: false,
    allowSpecialUseDomain: true,
    prefixSecurity: 'strict',
    cookies: cookies as never[],
  });
  /**
   * The live cookies. tough-cookie keeps a cookie whose lifetime has ended until it is next asked for, and some
   * backends delete a cookie by setting it to "": both are left out.
   */
  const all = (): Cookie[] =>
    ((jar.serializeSync()?.cookies ?? []) as unknown as Cookie[]).filter((serialized) => {
      const expires = Cookie.fromJSON(serialized)?.expiryTime();
      return Boolean(serialized.value) && (expires === undefined || expires > Date.now());
    });
  const remembered = createRemembered(all, (url) => jar.getCookieStringSync(url) || undefined);
  return {
    store(setCookies, url) {
      remembered.forget();
      for (const text of setCookies) jar.setCookieSync(text, url, { ignoreError: true });
    },
    header: remembered.header,
    value: (name) =>
      all()
        .filter((cookie) => cookie.key === name)
        .sort((a, b) => (b.path ?? '').length - (a.path ?? '').length)[0]?.value,
    names: () => all().map((cookie) => cookie.key),
    keep: (names) => all().filter(({ key }) => names.some((name) => isNamed(key, name))),
    copy(besides = []) {
      const replaced = new Set((besides as StoredCookie[]).map(cookieId));
      return createJar([...all().filter((cookie) => !replaced.has(cookieId(cookie as StoredCookie))), ...besides]);
    },
  };
}

/**
 * Remembers Cookie headers, because to find out which cookies go with a request costs more than the rest of building it.
 * For one origin that depends on nothing but which cookies the path of the request is below (RFC 6265 §5.4), until one is
 * stored or ends.
 */
function createRemembered(all: () => Cookie[], find: (url: string) => string | undefined) {
  let known: { paths: readonly string[]; until: number; headers: Map<string, string | undefined> } | undefined;
  return {
    header(url: string): string | undefined {
      if (!known || Date.now() >= known.until) {
        const cookies = all() as unknown as StoredCookie[];
        known = {
          paths: [...new Set(cookies.map(({ path = '/' }) => path))],
          until: Math.min(...cookies.map(cookieExpiry)),
          headers: new Map(),
        };
      }
      const { origin, pathname } = new URL(url);
      const below = known.paths.map((path) => (pathMatch(pathname, path) ? '1' : '0')).join('');
      const key = `${origin} ${below}`;
      if (!known.headers.has(key)) known.headers.set(key, find(url));
      return known.headers.get(key);
    },
    forget() {
      known = undefined;
    },
  };
}

/** Whether a cookie called `key` is meant by a name, or a pattern for names, of the configuration. */
export const isNamed = (key: string, name: CookieName): boolean =>
  typeof name === 'string' ? key === name : pattern(name.matching).matches(key);

/** A cookie as it is serialised. */
export interface StoredCookie {
  key: string;
  value: string;
  path?: string;
  domain?: string;
}

/** What tells two cookies apart: name, path and domain (RFC 6265 §5.3). */
export const cookieId = ({ key, path, domain }: StoredCookie): string => `${key} ${path} ${domain}`;

/** When a serialised cookie ends, in milliseconds since 1970; Infinity when its backend session decides that. */
export const cookieExpiry = (cookie: StoredCookie): number =>
  Cookie.fromJSON(cookie)?.expiryTime() ?? Number.POSITIVE_INFINITY;

/** Values of serialised cookies by `cookieId`, without the times at which they were created, used and end. */
export const cookieState = (cookies: readonly object[]): Map<string, string> =>
  new Map((cookies as StoredCookie[]).map((cookie) => [cookieId(cookie), cookie.value]));

/** The name, or the pattern for names, as an error message shows it. */
export const spelled = (name: CookieName): string => (typeof name === 'string' ? name : `matching ${name.matching}`);
