// The only home of tough-cookie. Each session has a jar of its own, which follows the Domain, Path, Secure
// and prefix rules of RFC 6265bis. Never print a jar: its text form contains the cookie values.
import { Cookie, CookieJar } from 'tough-cookie';
import type { CookieName } from '../../config/schema/backend.ts';
import { pattern } from '../../formats/pattern.ts';

/** The cookies of one backend session or one login. */
export interface Jar {
  /** Takes in the Set-Cookie headers of the answer from `url`; cookies that the rules forbid are dropped. */
  store(setCookies: readonly string[], url: string): void;
  /** The value of the Cookie header for a request to this URL, or undefined when no cookie applies. */
  header(url: string): string | undefined;
  /** The value of the first live cookie with this name, whatever its path. */
  value(name: string): string | undefined;
  names(): string[];
  /**
   * The live cookies with these names, serialised. The session keeps no others: a remember-me cookie, for example,
   * would still log in after the session has ended.
   */
  keep(names: readonly CookieName[]): object[];
  /** A jar with the same cookies that changes independently. `besides` replaces cookies of the same names. */
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
  return {
    store(setCookies, url) {
      for (const text of setCookies) jar.setCookieSync(text, url, { ignoreError: true });
    },
    header: (url) => jar.getCookieStringSync(url) || undefined,
    value: (name) => all().find((cookie) => cookie.key === name)?.value,
    names: () => all().map((cookie) => cookie.key),
    keep: (names) => all().filter(({ key }) => names.some((name) => isNamed(key, name))),
    copy: (besides = []) =>
      createJar([...all().filter(({ key }) => !besides.some((b) => (b as Cookie).key === key)), ...besides]),
  };
}

/** Whether a cookie called `key` is meant by a name, or a pattern for names, of the configuration. */
export const isNamed = (key: string, name: CookieName): boolean =>
  typeof name === 'string' ? key === name : pattern(name.matching).matches(key);

/** Values of serialised cookies by name and path, without the times at which they were created and used. */
export const cookieState = (cookies: readonly object[]): Map<string, string> =>
  new Map((cookies as { key: string; value: string; path?: string }[]).map((c) => [`${c.key} ${c.path}`, c.value]));

/** The name, or the pattern for names, as an error message shows it. */
export const spelled = (name: CookieName): string => (typeof name === 'string' ? name : `matching ${name.matching}`);
