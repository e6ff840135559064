// Implements the backend port for one legacy application server from its configuration alone.
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

/** What a backend is built from. `tools` may hold those of other backends, which are left out. */
export interface AdapterOptions {
  name: string;
  config: BackendConfig;
  tools: Record<string, ToolConfig>;
  accounts: Accounts;
  clock: Clock;
  onExchange?: OnExchange;
  /** Called after each login step, for `sallyport backend check`. */
  onStep?: OnStep;
  /** Called with the answers to tools, probes, keep-alive requests and logouts, before they are judged. */
  onAnswer?: (response: BackendResponse) => void;
  /** Called with the reason when a logout could not be carried out. */
  onLogoutFailure?: (detail: string) => void;
}

/** A good answer, or how the call ended without one. */
type Answer =
  | { ok: true; response: BackendResponse }
  /** `unsent`: there was no CSRF token for the request, so it was never sent. */
  | { ok: false; ended: Exclude<CallResult, { kind: 'ok' }>; unsent?: true };

/** The state of one call. `jar` is that of the session until an answer changes a cookie, and a copy from then on. */
interface Turn {
  session: OpenSession;
  jar: Jar;
  /** Secrets that appeared during this call, such as a new cookie or a CSRF token, in every spelling. */
  secrets: Spelling[];
  signal?: AbortSignal | undefined;
}

/** A backend that is down or asks to be left alone, or no answer at all (null): nothing is known of the session. */
const DOWN: readonly (number | null)[] = [429, 502, 503, 504, null];

/** Throws when the configuration names a CA file that cannot be read, or a result schema that does not compile. */
export function createBackendAdapter(options: AdapterOptions): BackendPort {
  const { name, config, accounts, clock, onStep } = options;
  const http: BackendHttp = createBackendHttp(config, clock, options.onExchange);
  const tools = new Map<string, { tool: ToolConfig; reader: Reader }>(
    Object.entries(options.tools)
      .filter(([, tool]) => tool.backend === name)
      .map(([key, tool]) => [key, { tool, reader: createReader(tool, http.url) }]),
  );
  /** Sessions that are ready for use, each kept for as long as its backend token object is. */
  const open = new WeakMap<BackendTokenSecret, OpenSession>();

  /** Undefined when the backend token was made under another configuration and lacks values that this one needs. */
  function opened(secret: BackendTokenSecret, account?: Account): OpenSession | undefined {
    const known = open.get(secret);
    // A session that was opened without its account, as for a logout, does not know which credentials to blank.
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

  /**
   * CSRF tokens for one request. Tokens that last for the session are fetched once for all of its calls, without the
   * signal of this one: a client that gives up must not cancel what other calls wait for. `fresh`: fetched just now.
   */
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
   * Sends one request on a session, with CSRF tokens when it needs them, and judges the answer. When the backend
   * refuses the CSRF token, a new one is fetched and the request is sent once more, even a write: the configuration
   * vouches that an answer which looks like that (`csrf.refused`) means that nothing was done.
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
    // Only an answer that is good or satisfies "assert" may change the session's cookies. Any other may set a new
    // anonymous cookie, which would replace the session by one that is not logged in.
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
        // Another call may have fetched new CSRF tokens in the meantime; those are kept.
        if (session.csrf === used) session.csrf = undefined;
        if (!tokens || !again) return failed('backend.rejected', 'the backend does not accept the CSRF token');
        return ask(request, values, expectation, writes, turn, false);
      case 'redirected':
        return failed('backend.redirected', verdict.detail);
      case 'failed':
        return failed('backend.rejected', verdict.detail);
    }
  }

  /** How long the backend asked to be left alone, when it answered 429 or 503. */
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
    /** What the result must not contain: secrets of the session, its CSRF tokens, and those of this call. */
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
    // The deadline of a request covers its wait in the queue, so that no step takes longer than `timeout_ms`.
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
      // Nothing has been sent yet, so the call may log in and start again.
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
        // Backends answer a logout with a redirect, a page or an error, so the answer proves nothing; the probe does.
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

/** Probes and keep-alive requests have pages of their own, to which "assert" of the backend does not apply. */
const own = (part: Expectation): Expectation => ({ ...part, assert: part.assert ?? [] });

type Failed = Extract<CallResult, { kind: 'failed' }>;

const failed = (code: Failed['code'], detail: string, status: number | null = null): Failed => ({
  kind: 'failed',
  code,
  detail,
  status,
});

/**
 * Reads a good answer. When that throws, the call has failed but the answer was good all the same, so this returns
 * a result, and a session cookie that came with the answer is not lost.
 */
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
