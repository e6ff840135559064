// One legacy application server behind the backend port, from configuration alone.
import type { BackendConfig } from '../config/backend-schema.ts';
import type { ToolConfig } from '../config/tool-schema.ts';
import { atPointer, type Json, nestsDeeperThan } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import { classify } from './expiry.ts';
import { type BackendHttp, type BackendResponse, createBackendHttp, type Exchange } from './http.ts';
import { createJar, type Jar } from './jar.ts';
import { complete, login } from './login.ts';
import type { BackendPort, BackendToken, CallResult, TokenSecret } from './port.ts';
import { buildRequest, fillHeaders, UnbuildableError, type Values } from './request.ts';
import { scrub, secretsOf, spellings } from './scrub.ts';

export interface AdapterOptions {
  name: string;
  config: BackendConfig;
  tools: Record<string, ToolConfig>;
  credentials: Record<string, Secret>;
}

const MAX_NESTING = 64;

/** A token ready for use. Kept while the token object lives. */
interface Opened {
  jar: Jar;
  headers: Record<string, string>;
  secrets: string[];
  token: BackendToken;
}

export function createBackendAdapter({ name, config, tools, credentials }: AdapterOptions): BackendPort {
  const http: BackendHttp = createBackendHttp(config);
  const basePath = http.url.pathname.replace(/\/$/, '');
  const passwords = Object.entries(credentials)
    .filter(([key]) => !/user|login/.test(key))
    .map(([, secret]) => secret.reveal());
  const opened = new WeakMap<TokenSecret, Opened>();

  function open(secret: TokenSecret): Opened {
    const known = opened.get(secret);
    if (known) return known;
    const token = secret.reveal();
    const fresh: Opened = {
      jar: createJar(token.cookies),
      headers: fillHeaders(config.session.headers, sessionValues(token)),
      secrets: spellings([...secretsOf(token), ...passwords]),
      token,
    };
    opened.set(secret, fresh);
    return fresh;
  }

  /** The one place where a session is attached to a request. */
  async function send(
    template: ToolConfig['request'],
    values: Values,
    session: Opened,
    signal?: AbortSignal,
  ): Promise<{ url: string; exchange: Exchange }> {
    const request = buildRequest(template, values, basePath);
    const url = new URL(request.path, http.url.origin).href;
    const cookie = session.jar.header(url);
    return {
      url,
      exchange: await http.send(request, { ...session.headers, ...(cookie !== undefined && { cookie }) }, signal),
    };
  }

  return {
    name,
    drainMs: config.drain_ms,

    // Each step may first wait for its turn.
    loginLimitMs: config.login.length * config.timeout_ms,

    login: (checkpoint) => login(http, config, credentials, checkpoint),

    async call(toolName, args, secret, signal) {
      const tool = tools[toolName];
      if (!tool) return failed('call.unknown_tool', 'the tool is not configured', null);
      const session = open(secret);
      const ofSession = sessionValues(session.token);
      const values: Values = (key) => ofSession(key) ?? (Object.hasOwn(args, key) ? args[key] : undefined);
      let sent: Awaited<ReturnType<typeof send>>;
      try {
        sent = await send(tool.request, values, session, signal);
      } catch (thrown) {
        if (thrown instanceof UnbuildableError) return failed('backend.request_unbuildable', thrown.message, null);
        throw thrown;
      }
      const { url, exchange } = sent;
      if (!exchange.ok) return failed(exchange.code, exchange.detail, null);
      const { response } = exchange;
      const kind = classify(response, config, http.url);
      if (kind === 'expired') return { kind: 'expired', status: response.status };
      if (kind !== 'data')
        return failed(
          'backend.redirected',
          kind === 'redirect' ? 'to another page' : 'to another origin',
          response.status,
        );
      const renewed = renewedToken(response, session, url);
      if (response.status < 200 || response.status >= 300) {
        return { ...failed('backend.rejected', `status ${response.status}`, response.status), renewed };
      }
      return { ...read(response, tool, session, renewed), renewed };
    },

    async logout(secret) {
      const session = open(await complete(http, config, secret));
      const values = sessionValues(session.token);
      if (config.logout) {
        const { exchange } = await send(config.logout.request, values, session);
        if (!exchange.ok) return 'unreachable';
      }
      if (!config.probe) return 'residual';
      const { exchange } = await send(config.probe.request, values, session);
      if (!exchange.ok) return 'unreachable';
      return classify(exchange.response, config, http.url) === 'expired' ? 'dead' : 'residual';
    },

    close: () => http.close(),
  };

  function read(response: BackendResponse, tool: ToolConfig, session: Opened, renewed: TokenSecret | undefined): Read {
    const secrets = renewed ? [...session.secrets, ...spellings(secretsOf(renewed.reveal()))] : session.secrets;
    if (tool.result.as === 'text') return { kind: 'ok', status: response.status, value: scrub(response.body, secrets) };
    let document: Json;
    try {
      document = JSON.parse(response.body) as Json;
    } catch {
      return failed('backend.response_unusable', 'not JSON', response.status);
    }
    if (nestsDeeperThan(document, MAX_NESTING))
      return failed('backend.response_unusable', `nests deeper than ${MAX_NESTING}`, response.status);
    const value = atPointer(document, tool.result.pointer) as Json | undefined;
    if (value === undefined)
      return failed('backend.response_unusable', `nothing at ${tool.result.pointer}`, response.status);
    return { kind: 'ok', status: response.status, value: scrub(value, secrets) };
  }

  /** a session cookie that the backend changed in a good answer makes a new token. */
  function renewedToken(response: BackendResponse, session: Opened, url: string): TokenSecret | undefined {
    if (response.setCookies.length === 0) return undefined;
    const { cookies } = config.session;
    const jar = createJar(session.token.cookies);
    jar.store(response.setCookies, url);
    const changed = cookies.some((cookie) => jar.value(cookie) !== session.jar.value(cookie));
    // A cookie taken away is a logout, not a renewal: the next call will find out.
    if (!changed || cookies.some((cookie) => jar.value(cookie) === undefined)) return undefined;
    return new Secret({ cookies: jar.keep(cookies), values: session.token.values });
  }
}

type Failed = Omit<Extract<CallResult, { kind: 'failed' }>, 'renewed'>;
type Read = Failed | Omit<Extract<CallResult, { kind: 'ok' }>, 'renewed'>;

const failed = (
  code: Extract<CallResult, { kind: 'failed' }>['code'],
  detail: string,
  status: number | null,
): Failed => ({ kind: 'failed', code, detail, status });

const sessionValues =
  (token: BackendToken): Values =>
  (name) =>
    name.startsWith('session.') ? token.values[name.slice('session.'.length)] : undefined;
