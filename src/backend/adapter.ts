// One legacy application server behind the backend port, from configuration alone.
import type { BackendConfig } from '../config/schema/backend.ts';
import type { RequestTemplate } from '../config/schema/request.ts';
import type { ToolConfig } from '../config/schema/tool.ts';
import type { Clock } from '../core/clock.ts';
import { PageTooDeepError } from '../formats/html.ts';
import type { JsonObject } from '../formats/json.ts';
import type { Account, Accounts } from './accounts.ts';
import { readPages } from './answer/pages.ts';
import { createReader, type Read, type Reader } from './answer/result.ts';
import { type Spelling, secretsOf, spellings } from './answer/scrub.ts';
import { type Expectation, judge } from './answer/verdict.ts';
import { type BackendHttp, type BackendResponse, createBackendHttp, type OnExchange } from './http/http.ts';
import type { Jar } from './http/jar.ts';
import { send } from './http/send.ts';
import { UnbuildableError, type Values } from './http/values.ts';
import type { BackendPort, BackendTokenSecret, CallResult } from './port.ts';
import {
  attachedTo,
  type CsrfTokens,
  csrfTokensIn,
  type Fetched,
  fetchCsrfTokens,
  needsCsrfTokens,
  withCsrfTokens,
} from './session/csrf.ts';
import { complete, login, type OnStep } from './session/login.ts';
import { type OpenSession, openSession, renewedBackendToken } from './session/open-session.ts';

export interface AdapterOptions {
  name: string;
  config: BackendConfig;
  tools: Record<string, ToolConfig>;
  accounts: Accounts;
  clock: Clock;
  onExchange?: OnExchange;
  /** Told of each step of a login and of each answer, for `sallyport backend check`. */
  onStep?: OnStep;
  onAnswer?: (response: BackendResponse) => void;
  /** Why a logout did not come about. */
  onLogoutFailure?: (detail: string) => void;
}

/** A good answer, or what the call has come to without one. */
type Answer =
  | { ok: true; response: BackendResponse }
  /** `unsent`: the request itself never went out. */
  | { ok: false; ended: Exclude<CallResult, { kind: 'ok' }>; unsent?: true };

/** One call on its way. `jar` is the session's own until an answer changes something. */
interface Turn {
  session: OpenSession;
  jar: Jar;
  /** Spellings that have come up on the way, besides those of the session. */
  secrets: Spelling[];
  signal?: AbortSignal | undefined;
}

/** A proxy before a backend that is down, or one that asks to be left alone: nothing is known of the session. */
const DOWN: readonly (number | null)[] = [429, 502, 503, 504, null];

export function createBackendAdapter(options: AdapterOptions): BackendPort {
  const { name, config, accounts, clock, onStep } = options;
  const http: BackendHttp = createBackendHttp(config, clock, options.onExchange);
  const tools = new Map<string, { tool: ToolConfig; reader: Reader }>(
    Object.entries(options.tools)
      .filter(([, tool]) => tool.backend === name)
      .map(([key, tool]) => [key, { tool, reader: createReader(tool, http.url) }]),
  );
  /** Kept while the token object lives. */
  const open = new WeakMap<BackendTokenSecret, OpenSession>();

  /** Undefined: the token was made under another configuration, and lacks what this one needs. */
  function opened(secret: BackendTokenSecret, account?: Account): OpenSession | undefined {
    const known = open.get(secret);
    // One that was opened without its account does not know what to blank.
    if (known && (account === undefined || known.account === account)) return known;
    try {
      const fresh = openSession(config, secret.reveal(), account);
      open.set(secret, fresh);
      return fresh;
    } catch (thrown) {
      if (thrown instanceof UnbuildableError) return undefined;
      throw thrown;
    }
  }

  const turnOf = (session: OpenSession, signal?: AbortSignal): Turn => ({
    session,
    jar: session.jar,
    secrets: [],
    signal,
  });

  /** Tokens for one write. All calls of a session share a request for tokens that last. */
  async function tokensFor({ session, jar, signal }: Turn): Promise<{ fetched: Fetched; fresh: boolean }> {
    if (config.csrf?.lasts === 'call')
      return { fetched: await fetchCsrfTokens(http, config, session, jar, signal), fresh: true };
    const fresh = session.csrf === undefined;
    session.csrf ??= fetchCsrfTokens(http, config, session, jar);
    const shared = session.csrf;
    const fetched = await shared;
    if (!fetched.ok && session.csrf === shared) session.csrf = undefined;
    return { fetched, fresh };
  }

  /**
   * Sends one request of a tool, with tokens when it needs them, and judges the answer. A refused token is
   * fetched anew, once: the backend says that it has done nothing.
   */
  async function ask(
    request: RequestTemplate,
    values: Values,
    expectation: Expectation,
    writes: boolean,
    turn: Turn,
    again = true,
  ): Promise<Answer> {
    const { session, signal } = turn;
    let tokens: CsrfTokens | undefined;
    let used: OpenSession['csrf'];
    if (needsCsrfTokens(request, writes, config)) {
      const { fetched, fresh } = await tokensFor(turn);
      used = session.csrf;
      if (!fetched.ok) return { ok: false, ended: fetched.result, unsent: true };
      tokens = fetched.tokens;
      turn.secrets.push(...tokens.secrets);
      const cookies = [...tokens.cookies, ...(fresh ? tokens.changed : [])];
      if (cookies.length > 0) turn.jar = turn.jar.copy(cookies);
    }
    const filled = withCsrfTokens(values, tokens);
    const sent = await send(http, request, filled, turn.jar, attachedTo(writes, config, session, filled), signal);
    if (!sent.ok) return { ok: false, ended: { kind: 'failed', status: null, ...sent } };
    const { response, url } = sent;
    options.onAnswer?.(response);
    const verdict = judge(response, config, expectation, http.url);
    // A refusal may come with a new anonymous cookie, which is no session of ours.
    const ours = verdict.kind === 'good' || (verdict.kind === 'failed' && verdict.ours);
    if (ours && response.setCookies.length > 0) {
      turn.jar = turn.jar.copy();
      turn.jar.store(response.setCookies, url);
      turn.secrets.push(...spellings(secretsOf({ cookies: turn.jar.keep(config.session.cookies), values: {} })));
    }
    const failed = (code: 'backend.rejected' | 'backend.redirected', detail: string): Answer => ({
      ok: false,
      ended: { kind: 'failed', code, detail, status: response.status, ...wait(response) },
    });
    switch (verdict.kind) {
      case 'good':
        return { ok: true, response };
      case 'expired':
        return {
          ok: false,
          ended: { kind: 'expired', status: response.status, beforeEffect: verdict.beforeEffect },
        };
      case 'token_refused':
        // Unless another call has fetched new ones since.
        if (session.csrf === used) session.csrf = undefined;
        if (!tokens || !again) return failed('backend.rejected', 'the backend does not accept the CSRF token');
        return ask(request, values, expectation, writes, turn, false);
      case 'redirected':
        return failed('backend.redirected', verdict.detail);
      case 'failed':
        return failed('backend.rejected', verdict.detail);
    }
  }

  /** What the backend asked for with a 429 or 503. */
  function wait({ status }: BackendResponse): { retryAfterSeconds?: number } {
    const seconds = status === 429 || status === 503 ? http.health().pausedSeconds : 0;
    return seconds > 0 ? { retryAfterSeconds: seconds } : {};
  }

  async function call(toolName: string, args: JsonObject, turn: Turn): Promise<CallResult> {
    const known = tools.get(toolName);
    if (!known) return failed('call.unknown_tool', 'the tool is not configured');
    const { tool, reader } = known;
    const { session } = turn;
    const argument: Values = (key) => session.values(key) ?? (Object.hasOwn(args, key) ? args[key] : undefined);
    const fetch = (values: Values): Promise<Answer> => ask(tool.request, values, tool, tool.effect !== 'read', turn);
    /** All that must not come back: of the session, of its tokens, of what came up on the way. */
    const secrets = async (response?: BackendResponse): Promise<Spelling[]> => {
      const kept = await session.csrf;
      const shown = response && tool.result.as !== 'binary' ? csrfTokensIn(response, turn.jar, config) : [];
      return [...session.secrets, ...turn.secrets, ...(kept?.ok ? kept.tokens.secrets : []), ...shown];
    };

    if (tool.pages) {
      const pages = await readPages(tool.pages, async (page) => {
        const answer = await fetch((key) => (key === 'page' ? page : argument(key)));
        if (!answer.ok) return answer;
        turn.secrets.push(...csrfTokensIn(answer.response, turn.jar, config));
        const parsed = reader.document(answer.response);
        return parsed.ok
          ? { ok: true, document: parsed.value }
          : { ok: false, ended: failed(parsed.code, parsed.detail, answer.response.status) };
      });
      if (!pages.ok) return 'ended' in pages ? pages.ended : failed('backend.response_unusable', pages.problem);
      const all = await secrets();
      return reading(200, () => reader.finish(pages.value, all));
    }
    const answer = await fetch(argument);
    if (!answer.ok) return answer.ended;
    const all = await secrets(answer.response);
    return reading(answer.response.status, () => reader.read(answer.response, all));
  }

  return {
    name,
    drainMs: config.drain_ms,
    // Each step may first wait for its turn.
    loginLimitMs: config.login.length * config.timeout_ms,
    oneAtATime: config.session.one_at_a_time,
    keepAliveTimes: config.keep_alive && {
      everyMs: config.keep_alive.every_seconds * 1000,
      forMs: config.keep_alive.for_seconds * 1000,
    },
    account: accounts,
    login: (account, checkpoint) => login(http, config, account.credentials, checkpoint, onStep),

    async call({ tool, arguments: args, backendToken, account, signal }) {
      const session = opened(backendToken, account);
      // A token of another configuration: the backend has not been asked yet.
      if (!session) return { kind: 'expired', status: null, beforeEffect: true };
      const turn = turnOf(session, signal);
      let result: CallResult;
      try {
        result = await call(tool, args, turn);
      } catch (thrown) {
        if (thrown instanceof UnbuildableError) result = failed('backend.request_unbuildable', thrown.message);
        else if (thrown instanceof PageTooDeepError)
          result = failed('backend.response_unusable', 'a page that nests too deeply');
        else throw thrown;
      }
      return result.kind === 'expired'
        ? result
        : { ...result, renewed: renewedBackendToken(config, session, turn.jar) };
    },

    async keepAlive(backendToken) {
      const { keep_alive } = config;
      const session = opened(backendToken);
      if (!keep_alive || !session) return { kind: 'expired' };
      const turn = turnOf(session);
      const answer = await ask(keep_alive.request, session.values, own(keep_alive), false, turn);
      return {
        kind: answer.ok ? 'ok' : answer.ended.kind,
        renewed: answer.ok ? renewedBackendToken(config, session, turn.jar) : undefined,
      };
    },

    async logout(secret) {
      const session = opened(await complete(http, config, secret));
      if (!session) return 'residual';
      if (config.logout) {
        // Whatever it answers is a logout: a redirect, a page, an error. The probe tells.
        const answer = await ask(config.logout.request, session.values, config.logout, true, turnOf(session));
        if (!answer.ok && answer.ended.kind === 'failed' && (answer.unsent || DOWN.includes(answer.ended.status))) {
          options.onLogoutFailure?.(answer.ended.detail);
          return 'unreachable';
        }
      }
      if (!config.probe) return 'residual';
      const probe = await ask(config.probe.request, session.values, own(config.probe), false, turnOf(session));
      if (probe.ok) return 'residual';
      if (probe.ended.kind === 'expired') return 'dead';
      return DOWN.includes(probe.ended.status) ? 'unreachable' : 'residual';
    },

    health: () => http.health(),
    close: () => http.close(),
  };
}

/** Probes, keep-alive calls and tokens come from pages of their own, which show other things than those of tools. */
const own = (part: Expectation): Expectation => ({ ...part, assert: part.assert ?? [] });

type Failed = Extract<CallResult, { kind: 'failed' }>;

const failed = (code: Failed['code'], detail: string, status: number | null = null): Failed => ({
  kind: 'failed',
  code,
  detail,
  status,
});

/** Whatever reading trips over, the answer was good: a cookie that came with it must not be lost. */
function reading(status: number, read: () => Read): CallResult {
  try {
    const result = read();
    return result.ok
      ? { kind: 'ok', status, value: result.value, blob: result.blob, renewed: undefined }
      : failed(result.code, result.detail, status);
  } catch {
    return failed('backend.response_unusable', 'the answer could not be read', status);
  }
}
