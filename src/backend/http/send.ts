// Requests of one session, or of one login: with its jar, its headers and its values.
import type { RequestTemplate } from '../../config/schema/request.ts';
import type { RefusalCode } from '../../decision/refusal-codes.ts';
import type { BackendHttp, BackendResponse } from './http.ts';
import type { Jar } from './jar.ts';
import { buildRequest } from './request.ts';
import { UnbuildableError, type Values } from './values.ts';

export type Sent =
  | { ok: true; response: BackendResponse; url: string }
  | { ok: false; code: RefusalCode; detail: string; retryAfterSeconds?: number };

/** What goes with every request, besides the jar. */
export interface Attached {
  headers: Record<string, string>;
  /** `name=value` */
  cookies: readonly string[];
}

/** The one place where a session is attached to a request. Takes no cookie from the answer: that is the caller's to decide. */
export async function send(
  http: BackendHttp,
  template: RequestTemplate,
  values: Values,
  jar: Jar,
  { headers, cookies }: Attached = { headers: {}, cookies: [] },
  signal?: AbortSignal,
): Promise<Sent> {
  let request: ReturnType<typeof buildRequest>;
  try {
    request = buildRequest(template, values, http.url.pathname.replace(/\/$/, ''));
  } catch (thrown) {
    if (thrown instanceof UnbuildableError)
      return { ok: false, code: 'backend.request_unbuildable', detail: thrown.message };
    throw thrown;
  }
  const url = new URL(request.path, http.url.origin).href;
  const cookie = [jar.header(url), ...cookies].filter((part) => part !== undefined).join('; ');
  const exchange = await http.send(request, { ...headers, ...(cookie !== '' && { cookie }) }, signal);
  return exchange.ok ? { ...exchange, url } : exchange;
}
