// The only home of tough-cookie: one jar per session, Domain, Path, Secure and prefix rules
// as RFC 6265bis has them. Nothing of a jar is ever printed.
import { type Cookie, CookieJar } from 'tough-cookie';

export interface Jar {
  /** Takes the Set-Cookie headers of an answer; what the rules refuse is dropped. */
  store(setCookies: readonly string[], url: string): void;
  /** The Cookie header for a URL, or undefined when no cookie applies. */
  header(url: string): string | undefined;
  value(name: string): string | undefined;
  /** The named cookies, serialised. Others are dropped: a remember-me cookie must not outlive its session. */
  keep(names: readonly string[]): object[];
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
  const all = (): Cookie[] => {
    const serialized = jar.serializeSync();
    return (serialized?.cookies ?? []) as unknown as Cookie[];
  };
  return {
    store(setCookies, url) {
      for (const text of setCookies) jar.setCookieSync(text, url, { ignoreError: true });
    },
    header: (url) => jar.getCookieStringSync(url) || undefined,
    value: (name) => all().find((cookie) => cookie.key === name)?.value,
    keep: (names) => all().filter((cookie) => names.includes(cookie.key)),
  };
}
