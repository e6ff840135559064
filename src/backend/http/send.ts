// Sends the requests of one session or one login, each with the cookies and headers that belong to it.
import type { RequestTemplate } from '../../config/schema/request.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import type { BackendHttp, Exchange } from './http.ts';
import type { Jar } from './jar.ts';
import { buildRequest } from './request.ts';
import type { BackendResponse } from './response.ts';
import { UnbuildableError, type Values } from './values.ts';

/** An answer and the URL it came from, as cookies see it, or why there is none. */
export type Sent =
  | { ok: true; response: BackendResponse; url: string }
  | (Extract<Exchange, { ok: false }> & { url: string });

/** Headers and cookies that go with every request of a session, besides the cookies of its jar. */
export interface Attached {
  headers: Record<string, string>;
  /** Each as `name=value`. */
  cookies: readonly string[];
}

/**
 * Sends one request, and is the only place where a session is attached to one. It does not store the cookies of the
 * answer: whether they belong to the session is known only after the answer has been judged. `repeatable`: as in
 * `BackendHttp`.
 */
export async function send(
  http: BackendHttp,
  template: RequestTemplate,
  values: Values,
  jar: Jar,
  { headers, cookies }: Attached,
  repeatable: boolean,
  signal?: CancelSignal,
): Promise<Sent> {
  let request: ReturnType<typeof buildRequest>;
  try {
    request = buildRequest(template, values, http.url.pathname.replace(/\/$/, ''));
  } catch (thrown) {
    if (thrown instanceof UnbuildableError)
      return {
        ok: false,
        code: 'backend.request_unbuildable',
        detail: thrown.message,
        sent: false,
        setCookies: [],
        url: http.url.href,
      };
    throw thrown;
  }
  const url = new URL(request.path, http.cookieOrigin).href;
  const cookie = [jar.header(url), ...cookies].filter((part) => part !== undefined).join('; ');
  const exchange = await http.send(request, { ...headers, ...(cookie !== '' && { cookie }) }, repeatable, signal);
  return { ...exchange, url };
}

/** What goes with a request that has no session yet. */
export const NOTHING: Attached = { headers: {}, cookies: [] };

/** How a call ends whose request got no answer. */
export function unanswered({ code, detail, retryAfterSeconds, sent }: Extract<Sent, { ok: false }>) {
  const outcome = sent ? ('sent_unknown' as const) : ('not_sent' as const);
  return { kind: 'failed' as const, status: null, code, detail, retryAfterSeconds, outcome };
}
