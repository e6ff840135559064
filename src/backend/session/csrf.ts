// CSRF tokens, without which some backends accept no write. A request of their own fetches them, once for a session
// or for each write, and they are sent in the headers, fields or cookies that the configuration names.
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { RequestTemplate } from '../../config/schema/request.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import { PageTooDeepError } from '../../formats/html/depth.ts';
import { placeholders, templateParts } from '../../formats/template.ts';
import { extract } from '../answer/extract.ts';
import { type Spelling, spellings } from '../answer/scrub.ts';
import { judge } from '../answer/verdict.ts';
import type { BackendHttp } from '../http/http.ts';
import { cookieId, cookieState, type Jar, type StoredCookie } from '../http/jar.ts';
import { fillHeaders } from '../http/request.ts';
import type { BackendResponse } from '../http/response.ts';
import { type Attached, send, unanswered } from '../http/send.ts';
import type { Values } from '../http/values.ts';
import { type CsrfTokens, type Fetched, type OpenSession, takeValues } from './open-session.ts';
import { renewedValues, strayOf } from './renewal.ts';
import type { Turn } from './turn.ts';

/** Whether a request needs CSRF tokens: it names one, or it is a write and every write has a header with one. */
function needsCsrfTokens(request: RequestTemplate, writes: boolean, { csrf }: BackendConfig): boolean {
  if (!csrf) return false;
  const named = templateParts(request).some((part) => placeholders(part.template).some((n) => n.startsWith('csrf.')));
  return named || (writes && Object.keys(csrf.headers).length > 0);
}

/** Fetches CSRF tokens with one request. `jar` is that of the call and stays as it is. Throws a PageTooDeepError. */
async function fetchCsrfTokens(
  http: BackendHttp,
  config: BackendConfig,
  session: OpenSession,
  jar: Jar,
  signal?: CancelSignal,
): Promise<Fetched> {
  const csrf = config.csrf as NonNullable<BackendConfig['csrf']>;
  const { values: kept } = session.token;
  const strayIn = (answer: { setCookies: readonly string[]; url: string; response?: BackendResponse }) =>
    strayOf(config, { cookies: jar.keep(config.session.cookies), values: kept }, answer);
  const sent = await send(http, csrf.request, session.values, jar, session.attached, true, signal);
  // What was sent here is not what the call asks for, which will not be sent.
  if (!sent.ok)
    return {
      ok: false,
      result: { ...unanswered(sent), outcome: 'not_sent' },
      stray: strayIn(sent),
      unanswered: sent.sent,
    };
  const { response, url } = sent;
  const { status, setCookies } = response;
  const without = (result: Extract<Fetched, { ok: false }>['result']): Fetched => ({
    ok: false,
    result,
    stray: strayIn({ setCookies, url, response }),
    unanswered: false,
  });
  const failed = (detail: string) =>
    without({ kind: 'failed', code: 'backend.rejected', detail: `CSRF token: ${detail}`, status, outcome: 'not_sent' });
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof PageTooDeepError)) throw thrown;
    return failed('a page that nests too deeply');
  }

  function read(): Fetched {
    const verdict = judge(response, config, { ...csrf, assert: csrf.assert ?? [] }, http.url);
    if (verdict.kind === 'expired') return without({ kind: 'expired', status, outcome: 'not_sent' });
    if (verdict.kind !== 'good') return failed('detail' in verdict ? verdict.detail : verdict.kind);
    const own = jar.copy();
    own.store(setCookies, url);
    const values: Record<string, string> = {};
    for (const [name, extraction] of Object.entries(csrf.extract)) {
      const value = extract(extraction, response, own);
      if (typeof value !== 'string') return failed(`nothing to extract for "${name}"`);
      values[name] = value;
    }
    // Only session cookies that this answer changed are handed on; the call may have newer ones of the others by then.
    const before = cookieState(jar.keep(config.session.cookies));
    const changed = (own.keep(config.session.cookies) as StoredCookie[]).filter(
      (cookie) => before.get(cookieId(cookie)) !== cookie.value,
    );
    const cookies = own.keep(csrf.cookies) as StoredCookie[];
    const all = [...cookies, ...changed].map(({ value }) => value);
    const secrets = spellings([...Object.values(values), ...all]);
    const changedValues = renewedValues(config, kept, response, own);
    return { ok: true, tokens: { values, cookies, changed, changedValues, secrets } };
  }
}

/** CSRF tokens in an answer that becomes a result: a page with a form carries the token of that form. */
export function csrfTokensIn(response: BackendResponse, jar: Jar, { csrf }: BackendConfig): Spelling[] {
  const found = Object.values(csrf?.extract ?? {}).map((extraction) => extract(extraction, response, jar));
  // Whoever can write into the page could name a field like that of the token, and have words of others blanked.
  return spellings(found.filter((value) => typeof value === 'string' && looksRandom(value)) as string[]);
}

const looksRandom = (value: string): boolean =>
  !/\s/.test(value) && (/\d|[a-z].*[A-Z]/.test(value) || value.length >= 16);

/** Values in which "csrf.NAME" gives a CSRF token, and every other name what it gave before. */
export const withCsrfTokens =
  (values: Values, tokens: CsrfTokens | undefined): Values =>
  (name) =>
    name.startsWith('csrf.') ? tokens?.values[name.slice('csrf.'.length)] : values(name);

/**
 * The headers and cookies of a request: those of the session, and for a write those of `csrf.headers`. Throws an
 * UnbuildableError when a CSRF token has a character that no header can carry.
 */
export function attachedTo(writes: boolean, config: BackendConfig, session: OpenSession, values: Values): Attached {
  const headers = writes && config.csrf ? fillHeaders(config.csrf.headers, values) : {};
  return { ...session.attached, headers: { ...headers, ...session.attached.headers } };
}

/**
 * The tokens of one request, noted in its turn, or how the call ended without them. Undefined when it needs none.
 * Rejects with a PageTooDeepError.
 */
export type TokensFor = (request: RequestTemplate, writes: boolean, turn: Turn) => Promise<Fetched | undefined>;

export function createCsrfTokens(http: BackendHttp, config: BackendConfig): TokensFor {
  /**
   * Tokens that last for the session are fetched once for all of its calls, without the signal of this one: a client
   * that gives up must not cancel what other calls wait for. `fresh`: fetched just now.
   */
  async function fetch({ session, jar, signal }: Turn): Promise<{ fetched: Fetched; fresh: boolean }> {
    if (config.csrf?.lasts === 'call')
      return { fetched: await fetchCsrfTokens(http, config, session, jar, signal), fresh: true };
    const fresh = session.csrf === undefined;
    session.csrf ??= fetchCsrfTokens(http, config, session, jar);
    const shared = session.csrf;
    // What could not be fetched, or stood on a page that could not be read, is fetched anew by the next call.
    const forget = () => {
      if (session.csrf === shared) session.csrf = undefined;
    };
    const fetched = await shared.catch((thrown: unknown) => {
      forget();
      throw thrown;
    });
    if (!fetched.ok) forget();
    return { fetched, fresh };
  }

  return async (request, writes, turn) => {
    if (!needsCsrfTokens(request, writes, config)) return undefined;
    const { fetched, fresh } = await fetch(turn);
    if (!fetched.ok) {
      if (fresh && fetched.stray) turn.strays.push(fetched.stray);
      turn.unanswered ||= fresh && fetched.unanswered;
      return fetched;
    }
    const { cookies, changed, changedValues, secrets } = fetched.tokens;
    if (fresh && changedValues) takeValues(config, changedValues, turn);
    turn.secrets.push(...secrets);
    const theirs = [...cookies, ...(fresh ? changed : [])];
    if (theirs.length > 0) turn.jar = turn.jar.copy(theirs);
    return fetched;
  };
}
