// Tokens without which a backend takes no write: fetched by a request of their own, kept with the session
// or fetched for each write, and attached.
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { RequestTemplate } from '../../config/schema/request.ts';
import { placeholders, templateParts } from '../../formats/template.ts';
import { extract } from '../answer/extract.ts';
import { type Spelling, spellings } from '../answer/scrub.ts';
import { judge } from '../answer/verdict.ts';
import type { BackendHttp, BackendResponse } from '../http/http.ts';
import type { Jar } from '../http/jar.ts';
import { fillHeaders } from '../http/request.ts';
import { type Attached, send } from '../http/send.ts';
import type { Values } from '../http/values.ts';
import type { CallResult } from '../port.ts';
import type { OpenSession } from './open-session.ts';

export interface CsrfTokens {
  values: Record<string, string>;
  /** Cookies that came with them and go back with them. */
  cookies: object[];
  /** Cookies of the session that the answer changed: whoever asked goes on with them. */
  changed: object[];
  secrets: readonly Spelling[];
}

/** Without tokens nothing has been written yet, whatever the reason. */
export type Fetched = { ok: true; tokens: CsrfTokens } | { ok: false; result: Exclude<CallResult, { kind: 'ok' }> };

/** Whether a request goes out with tokens: it names one, or it is a write and headers are attached to writes. */
export function needsCsrfTokens(request: RequestTemplate, writes: boolean, { csrf }: BackendConfig): boolean {
  if (!csrf) return false;
  const named = templateParts(request).some((part) => placeholders(part.template).some((n) => n.startsWith('csrf.')));
  return named || (writes && Object.keys(csrf.headers).length > 0);
}

/** `jar`: that of the call. */
export async function fetchCsrfTokens(
  http: BackendHttp,
  config: BackendConfig,
  session: OpenSession,
  jar: Jar,
  signal?: AbortSignal,
): Promise<Fetched> {
  const csrf = config.csrf as NonNullable<BackendConfig['csrf']>;
  const failed = (detail: string, status: number | null): Fetched => ({
    ok: false,
    result: { kind: 'failed', code: 'backend.rejected', detail: `CSRF token: ${detail}`, status },
  });
  const sent = await send(http, csrf.request, session.values, jar, session.attached, signal);
  if (!sent.ok) return { ok: false, result: { kind: 'failed', status: null, ...sent } };
  const { response, url } = sent;
  const verdict = judge(response, { ...config, csrf: undefined }, { ...csrf, assert: csrf.assert ?? [] }, http.url);
  if (verdict.kind === 'expired')
    return { ok: false, result: { kind: 'expired', status: response.status, beforeEffect: true } };
  if (verdict.kind !== 'good') return failed('detail' in verdict ? verdict.detail : verdict.kind, response.status);
  const own = jar.copy();
  own.store(response.setCookies, url);
  const values: Record<string, string> = {};
  for (const [name, extraction] of Object.entries(csrf.extract)) {
    const value = extract(extraction, response, own);
    if (typeof value !== 'string') return failed(`nothing to extract for "${name}"`, response.status);
    values[name] = value;
  }
  // Of the session only what this answer changed: the call may have gone on from there.
  const before = jar.keep(config.session.cookies).map((cookie) => JSON.stringify(nameAndValue(cookie)));
  const changed = own.keep(config.session.cookies).filter((c) => !before.includes(JSON.stringify(nameAndValue(c))));
  const cookies = own.keep(csrf.cookies);
  const all = [...cookies, ...changed].map((cookie) => nameAndValue(cookie)[1]);
  const secrets = spellings([...Object.values(values), ...all]);
  return { ok: true, tokens: { values, cookies, changed, secrets } };
}

const nameAndValue = (cookie: object): [string, string] => {
  const { key, value } = cookie as { key: string; value: string };
  return [key, value];
};

/** Tokens that stand in an answer a client is to see: a page shows its form to whoever reads it. */
export function csrfTokensIn(response: BackendResponse, jar: Jar, { csrf }: BackendConfig): Spelling[] {
  const found = Object.values(csrf?.extract ?? {}).map((extraction) => extract(extraction, response, jar));
  return spellings(found.filter((value) => typeof value === 'string'));
}

/** The values of a request with its tokens. */
export const withCsrfTokens =
  (values: Values, tokens: CsrfTokens | undefined): Values =>
  (name) =>
    name.startsWith('csrf.') ? tokens?.values[name.slice('csrf.'.length)] : values(name);

/** What goes with a write. Throws an UnbuildableError when a token is nothing a header can carry. */
export function attachedTo(writes: boolean, config: BackendConfig, session: OpenSession, values: Values): Attached {
  const headers = writes && config.csrf ? fillHeaders(config.csrf.headers, values) : {};
  return { ...session.attached, headers: { ...headers, ...session.attached.headers } };
}
