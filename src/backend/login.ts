// Walks the login steps of a backend with a jar of its own and keeps what the session is made of.
import type { BackendConfig, Extraction, LoginStep } from '../config/backend-schema.ts';
import { atPointer, type Json } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import { leadsTo } from './expiry.ts';
import { formFields } from './html.ts';
import type { BackendHttp, BackendResponse } from './http.ts';
import { createJar, type Jar } from './jar.ts';
import type { Checkpoint, LoginResult, TokenSecret } from './port.ts';
import { buildRequest, UnbuildableError } from './request.ts';

export async function login(
  http: BackendHttp,
  config: BackendConfig,
  credentials: Record<string, Secret>,
  checkpoint: Checkpoint,
): Promise<LoginResult> {
  const jar = createJar();
  const values = new Map<string, string>(
    Object.entries(credentials).map(([name, secret]) => [`credentials.${name}`, secret.reveal()]),
  );
  const token = (): TokenSecret =>
    new Secret({
      cookies: jar.keep(config.session.cookies),
      values: Object.fromEntries(config.session.values.map((name) => [name, values.get(name) ?? ''])),
    });
  const partial = () => (config.session.cookies.some((name) => jar.value(name) !== undefined) ? token() : undefined);
  const fail = (code: RefusalCode, detail: string): LoginResult => ({ ok: false, code, detail, partial: partial() });

  let recorded: string | undefined;
  for (const [i, step] of config.login.entries()) {
    const failure = await walk(step, http, jar, values);
    if (failure)
      return fail(failure.code, `login step ${i + 1} (${step.request.method} ${step.request.path}): ${failure.detail}`);
    const cookies = config.session.cookies.map((name) => jar.value(name)).join();
    const soFar = cookies === recorded ? undefined : partial();
    recorded = cookies;
    if (!soFar) continue;
    try {
      await checkpoint(soFar);
    } catch {
      return fail('session.unavailable', `the token of login step ${i + 1} could not be recorded`);
    }
  }
  const missing = config.session.cookies.find((name) => jar.value(name) === undefined);
  if (missing !== undefined) return fail('session.login_failed', `no cookie ${missing} after the login`);
  return { ok: true, token: token() };
}

/**
 * A token of a login that was broken off may lack values its logout needs, such as a CSRF token. Pages
 * that are only read are read again for them; nothing is posted.
 */
export async function complete(http: BackendHttp, config: BackendConfig, secret: TokenSecret): Promise<TokenSecret> {
  const token = secret.reveal();
  const missing = config.session.values.filter((name) => (token.values[name] ?? '') === '');
  if (missing.length === 0) return secret;
  const jar = createJar(token.cookies);
  const values = new Map(Object.entries(token.values));
  for (const step of config.login) {
    const useful = step.request.method === 'GET' && missing.some((name) => Object.hasOwn(step.extract ?? {}, name));
    if (useful) await walk(step, http, jar, values);
  }
  return new Secret({ cookies: token.cookies, values: Object.fromEntries(values) });
}

type Failure = Omit<Extract<LoginResult, { ok: false }>, 'ok' | 'partial'>;

async function walk(
  step: LoginStep,
  http: BackendHttp,
  jar: Jar,
  values: Map<string, string>,
): Promise<Failure | undefined> {
  let request: ReturnType<typeof buildRequest>;
  try {
    request = buildRequest(
      step.request,
      (name): Json | undefined => values.get(name),
      http.url.pathname.replace(/\/$/, ''),
    );
  } catch (thrown) {
    if (thrown instanceof UnbuildableError) return { code: 'session.login_failed', detail: thrown.message };
    throw thrown;
  }
  const url = new URL(request.path, http.url.origin).href;
  const cookie = jar.header(url);
  const exchange = await http.send(request, cookie === undefined ? {} : { cookie });
  if (!exchange.ok) return exchange;
  const { response } = exchange;
  jar.store(response.setCookies, url);
  const unexpected = check(step, response, http.url);
  if (unexpected !== undefined) return { code: 'session.login_failed', detail: unexpected };
  for (const [name, extraction] of Object.entries(step.extract ?? {})) {
    const value = extract(extraction, response, jar);
    if (value === undefined) return { code: 'session.login_failed', detail: `nothing to extract for "${name}"` };
    values.set(name, value);
  }
  return undefined;
}

function check({ expect }: LoginStep, response: BackendResponse, base: URL): string | undefined {
  const { status } = response;
  const accepted =
    expect?.status?.includes(status) ??
    (expect?.redirect_to === undefined ? status >= 200 && status < 300 : status >= 300 && status < 400);
  if (!accepted) return `status ${status} was not expected`;
  if (expect?.redirect_to !== undefined && !leadsTo(response.location, expect.redirect_to, base))
    return `the redirect does not lead to ${expect.redirect_to}`;
  return undefined;
}

function extract(extraction: Extraction, response: BackendResponse, jar: Jar): string | undefined {
  if ('cookie' in extraction) return jar.value(extraction.cookie);
  if ('header' in extraction) return response.header(extraction.header);
  if ('form_field' in extraction) return formFields(response.body).get(extraction.form_field);
  const value = atPointer(parse(response.body), extraction.json);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
