// One legacy application server behind the backend port, from configuration alone.
import type { BackendConfig } from '../config/backend-schema.ts';
import type { RequestTemplate } from '../config/request-schema.ts';
import type { ToolConfig } from '../config/tool-schema.ts';
import type { Clock } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import type { Account, Accounts } from './accounts.ts';
import { send } from './conversation.ts';
import { attachedTo, fetchTokens, needsTokens, withTokens } from './csrf.ts';
import { type BackendHttp, type BackendResponse, createBackendHttp, type OnExchange } from './http.ts';
import type { Jar } from './jar.ts';
import { complete, login, type OnStep } from './login.ts';
import { readPages } from './pages.ts';
import type { BackendPort, CallResult, TokenSecret } from './port.ts';
import { createReader, type Read, type Reader } from './result.ts';
import { type OpenSession, openSession, renewedToken, type WriteTokens } from './session.ts';
import { UnbuildableError, type Values } from './values.ts';
import { type Expectation, judge } from './verdict.ts';

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
}

/** A good answer, or what the call has come to without one. */
type Answer = { ok: true; response: BackendResponse } | { ok: false; ended: Exclude<CallResult, { kind: 'ok' }> };

/** One call on its way. `jar` is the session's own until an answer changes something. */
interface Turn {
  session: OpenSession;
  jar: Jar;
  tokens?: WriteTokens | undefined;
  signal?: AbortSignal | undefined;
}

export function createBackendAdapter(options: AdapterOptions): BackendPort {
  const { name, config, accounts, clock, onStep } = options;
  const http: BackendHttp = createBackendHttp(config, clock, options.onExchange);
  const tools = new Map<string, { tool: ToolConfig; reader: Reader }>(
    Object.entries(options.tools)
      .filter(([, tool]) => tool.backend === name)
      .map(([key, tool]) => [key, { tool, reader: createReader(tool, http.url) }]),
  );
  /** Kept while the token object lives. */
  const opened = new WeakMap<TokenSecret, OpenSession>();

  function open(secret: TokenSecret, account?: Account): OpenSession {
    const known = opened.get(secret);
    // One that was opened without its account does not know what to blank.
    if (known && (account === undefined || known.account === account)) return known;
    const fresh = openSession(config, secret.reveal(), account);
    opened.set(secret, fresh);
    return fresh;
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
    const needed = needsTokens(request, writes, config);
    if (needed) {
      turn.tokens = session.csrf;
      if (!turn.tokens) {
        const fetched = await fetchTokens(http, config, session, turn.jar, signal);
        if (!fetched.ok) return { ok: false, ended: fetched.result };
        turn.tokens = fetched.tokens;
        if (config.csrf?.lasts === 'session') session.csrf = fetched.tokens;
      }
      turn.jar = turn.tokens.jar;
    }
    const filled = withTokens(values, turn.tokens);
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
        session.csrf = undefined;
        if (!needed || !again) return failed('backend.rejected', 'the backend does not accept the CSRF token');
        turn.jar = session.jar;
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
    const secrets = () => {
      const renewed = renewedToken(config, session, turn.jar);
      const later = renewed ? openSession(config, renewed.reveal(), undefined).secrets : [];
      return [...session.secrets, ...later, ...(turn.tokens?.secrets ?? [])];
    };

    if (tool.pages) {
      const pages = await readPages(tool.pages, async (page) => {
        const answer = await fetch((key) => (key === 'page' ? page : argument(key)));
        if (!answer.ok) return answer;
        const parsed = reader.document(answer.response);
        return parsed.ok
          ? { ok: true, document: parsed.value }
          : { ok: false, ended: failed(parsed.code, parsed.detail, answer.response.status) };
      });
      if (!pages.ok) return 'ended' in pages ? pages.ended : failed('backend.response_unusable', pages.problem);
      return finished(reader.finish(pages.value, secrets()), 200);
    }
    const answer = await fetch(argument);
    if (!answer.ok) return answer.ended;
    return finished(reader.read(answer.response, secrets()), answer.response.status);
  }

  return {
    name,
    drainMs: config.drain_ms,
    // Each step may first wait for its turn.
    loginLimitMs: config.login.length * config.timeout_ms,
    oneAtATime: config.session.one_at_a_time,
    keepAlive: config.keep_alive && {
      everyMs: config.keep_alive.every_seconds * 1000,
      forMs: config.keep_alive.for_seconds * 1000,
    },
    account: accounts,
    login: (account, checkpoint) => login(http, config, account.credentials, checkpoint, onStep),

    async call({ tool, arguments: args, token, account, signal }) {
      const session = open(token, account);
      const turn: Turn = { session, jar: session.jar, signal };
      let result: CallResult;
      try {
        result = await call(tool, args, turn);
      } catch (thrown) {
        if (!(thrown instanceof UnbuildableError)) throw thrown;
        result = failed('backend.request_unbuildable', thrown.message);
      }
      return result.kind === 'expired' ? result : { ...result, renewed: renewedToken(config, session, turn.jar) };
    },

    async touch(token) {
      const { keep_alive } = config;
      const session = open(token);
      const turn: Turn = { session, jar: session.jar };
      if (!keep_alive) return { kind: 'ok' };
      const answer = await ask(keep_alive.request, session.values, keep_alive, false, turn);
      return {
        kind: answer.ok ? 'ok' : answer.ended.kind,
        renewed: answer.ok ? renewedToken(config, session, turn.jar) : undefined,
      };
    },

    async logout(secret) {
      const session = open(await complete(http, config, secret));
      const turn: Turn = { session, jar: session.jar };
      if (config.logout) {
        // Whatever it answers is a logout: a redirect, a page, an error. The probe tells.
        const answer = await ask(config.logout.request, session.values, config.logout, true, turn);
        if (!answer.ok && answer.ended.kind === 'failed' && answer.ended.status === null) return 'unreachable';
      }
      if (!config.probe) return 'residual';
      const probe = await ask(config.probe.request, session.values, config.probe, false, {
        session,
        jar: session.jar,
      });
      if (probe.ok) return 'residual';
      if (probe.ended.kind === 'expired') return 'dead';
      return probe.ended.status === null ? 'unreachable' : 'residual';
    },

    health: () => http.health(),
    close: () => http.close(),
  };
}

type Failed = Extract<CallResult, { kind: 'failed' }>;

const failed = (code: Failed['code'], detail: string, status: number | null = null): Failed => ({
  kind: 'failed',
  code,
  detail,
  status,
});

const finished = (read: Read, status: number): CallResult =>
  read.ok
    ? { kind: 'ok', status, value: read.value, blob: read.blob, renewed: undefined }
    : failed(read.code, read.detail, status);
