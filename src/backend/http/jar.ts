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
  /** Whether there were cookies and the time of all is over (`Max-Age`, `Expires`): the session has ended. */
  over(): boolean;
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

/**
 * Why a cookie that an answer from `url` sets would not be sent back to it, or undefined. Names no value.
 */
export function whyDropped(setCookie: string, url: string): string | undefined {
  const cookie = Cookie.parse(setCookie);
  if (!cookie) return 'it cannot be read';
  const { protocol, hostname } = new URL(url);
  if (cookie.value === '') return 'it is empty';
  if (cookie.expiryTime() !== undefined && (cookie.expiryTime() ?? 0) <= Date.now()) return 'its end has passed';
  if (cookie.domain !== null && hostname !== cookie.domain && !hostname.endsWith(`.${cookie.domain}`))
    return `it is for the domain ${cookie.domain}`;
  if (protocol === 'http:' && cookie.secure)
    return 'it is Secure, and this is http:// (session.cookies_over_http sends it all the same)';
  if (/^__(Host|Secure)-/i.test(cookie.key) && !cookie.secure) return 'its name demands that it is Secure';
  return undefined;
}

/** `cookies`: serialised ones, as `keep` gives them. */
export const createJar = (cookies: readonly object[] = []): Jar => new CookieList(cookies as readonly StoredCookie[]);

/**
 * A jar as the list of its cookies. One of tough-cookie takes several times the memory, so it is made when a cookie is to
 * be stored or a header is not known yet.
 */
class CookieList implements Jar {
  #cookies: readonly StoredCookie[];
  #known: KnownHeaders | undefined;

  constructor(cookies: readonly StoredCookie[]) {
    this.#cookies = cookies;
  }

  store(setCookies: readonly string[], url: string): void {
    const jar = this.#open();
    for (const text of setCookies) jar.setCookieSync(text, url, { ignoreError: true });
    this.#cookies = (jar.serializeSync()?.cookies ?? []) as unknown as StoredCookie[];
    this.#known = undefined;
  }

  /**
   * Remembered, because to find out which cookies go with a request costs more than the rest of building it. For one
   * origin that depends on nothing but which cookies the path of the request is below (RFC 6265 §5.4), until one is stored
   * or ends.
   */
  header(url: string): string | undefined {
    if (!this.#known || Date.now() >= this.#known.until) this.#known = knownHeaders(this.#cookies);
    const { paths, headers } = this.#known;
    const { origin, pathname } = new URL(url);
    const decoded = decodedPath(pathname);
    const key = `${origin} ${paths.map((path) => (pathMatch(decoded, path) ? '1' : '0')).join('')}`;
    const known = headers.find((each) => each.key === key) ?? { key, header: this.#open().getCookieStringSync(url) };
    if (!headers.includes(known)) this.#known.headers = headers.concat(known);
    return known.header || undefined;
  }

  over(): boolean {
    this.#known ??= knownHeaders(this.#cookies);
    return Date.now() >= this.#known.over;
  }

  value(name: string): string | undefined {
    const named = this.#live().filter(({ key }) => key === name);
    return named.sort((a, b) => (b.path ?? '').length - (a.path ?? '').length)[0]?.value;
  }

  names(): string[] {
    return this.#live().map(({ key }) => key);
  }

  keep(names: readonly CookieName[]): object[] {
    return this.#live().filter(({ key }) => names.some((name) => isNamed(key, name)));
  }

  copy(besides: readonly object[] = []): Jar {
    const replaced = new Set((besides as StoredCookie[]).map(cookieId));
    return createJar([...this.#live().filter((cookie) => !replaced.has(cookieId(cookie))), ...besides]);
  }

  /**
   * The live cookies. One whose lifetime has ended stays in the list, and some backends delete a cookie by setting it to
   * "": both are left out.
   */
  #live(): StoredCookie[] {
    return this.#cookies.filter((cookie) => Boolean(cookie.value) && cookieExpiry(cookie) > Date.now());
  }

  #open(): CookieJar {
    return CookieJar.deserializeSync({
      version: 'tough-cookie',
      storeType: 'MemoryCookieStore',
      rejectPublicSuffixes: true,
      enableLooseMode: false,
      allowSpecialUseDomain: true,
      prefixSecurity: 'strict',
      cookies: this.#cookies.filter((cookie) => cookieExpiry(cookie) > Date.now()) as never[],
    });
  }
}

/** As tough-cookie reads the path of a request before it compares it with those of the cookies. */
function decodedPath(pathname: string): string {
  try {
    return decodeURI(pathname);
  } catch {
    return pathname;
  }
}

/**
 * Cookie headers by origin and by which of the paths a request is below. `until`: when the first cookie ends; `over`: when
 * the last one has; both in milliseconds since 1970.
 */
interface KnownHeaders {
  paths: readonly string[];
  until: number;
  over: number;
  headers: readonly { key: string; header: string }[];
}

const knownHeaders = (cookies: readonly StoredCookie[]): KnownHeaders => ({
  paths: [...new Set(cookies.map(({ path = '/' }) => path))],
  until: Math.min(...cookies.map(cookieExpiry)),
  over: cookies.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...cookies.map(cookieExpiry)),
  headers: [],
});

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
