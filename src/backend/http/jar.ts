// The only home of tough-cookie: one jar per session, Domain, Path, Secure and prefix rules
// as RFC 6265bis has them. Nothing of a jar is ever printed.
import { Cookie, CookieJar } from 'tough-cookie';
import type { CookieName } from '../../config/schema/backend.ts';
import { pattern } from '../../formats/pattern.ts';

export interface Jar {
  /** Takes the Set-Cookie headers of an answer; what the rules refuse is dropped. */
  store(setCookies: readonly string[], url: string): void;
  /** The Cookie header for a URL, or undefined when no cookie applies. */
  header(url: string): string | undefined;
  value(name: string): string | undefined;
  names(): string[];
  /** The named cookies, serialised. Others are dropped: a remember-me cookie must not outlive its session. */
  keep(names: readonly CookieName[]): object[];
  /** One that goes on from here by itself, with these besides. */
  copy(besides?: readonly object[]): Jar;
}

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
  /** A cookie that was taken away stays until it is asked for, and some take one away by emptying it. */
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

export const isNamed = (key: string, name: CookieName): boolean =>
  typeof name === 'string' ? key === name : pattern(name.matching).matches(key);

/** What the cookies are, apart from when they were made and used. */
export const cookieState = (cookies: readonly object[]): Map<string, string> =>
  new Map((cookies as { key: string; value: string; path?: string }[]).map((c) => [`${c.key} ${c.path}`, c.value]));

/** How a cookie is called in a message. */
export const spelled = (name: CookieName): string => (typeof name === 'string' ? name : `matching ${name.matching}`);
