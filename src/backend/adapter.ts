// Implements the backend port for one legacy application server from its configuration alone.
import type { BackendConfig } from '../config/schema/backend.ts';
import type { ToolConfig } from '../config/schema/tool.ts';
import type { Clock } from '../core/clock.ts';
import type { Account, Accounts } from './accounts.ts';
import type { Expectation } from './answer/verdict.ts';
import { createBackendHttp, type OnExchange } from './http/http.ts';
import type { BackendResponse } from './http/response.ts';
import { UnbuildableError } from './http/values.ts';
import type { BackendPort, BackendTokenSecret, LogoutResult } from './port.ts';
import { createAsk } from './session/ask.ts';
import { complete, login, type OnStep } from './session/login.ts';
import { type OpenSession, openSession, renewedBackendToken } from './session/open-session.ts';
import { turnOf } from './session/turn.ts';
import { createToolCalls } from './tool-calls.ts';

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

/** A backend that is down or asks to be left alone, or no answer at all (null): nothing is known of the session. */
const DOWN: readonly (number | null)[] = [429, 502, 503, 504, null];

/** Throws when the configuration names a CA file that cannot be read, or a result schema that does not compile. */
export function createBackendAdapter(options: AdapterOptions): BackendPort {
  const { name, config, accounts, clock, onStep, onAnswer, onLogoutFailure } = options;
  const { session: sessionConfig, keep_alive, logout, probe } = config;
  const http = createBackendHttp(config, clock, options.onExchange);
  const ask = createAsk({ http, config, onAnswer });
  const callTool = createToolCalls({ name, config, tools: options.tools, url: http.url, ask });
  const opened = createOpener(config);

  /** Whether a probe shows that the session still works. */
  async function probed(session: OpenSession): Promise<LogoutResult> {
    if (!probe) return 'residual';
    const answer = await ask(
      { request: probe.request, values: session.values, expectation: own(probe), writes: false },
      turnOf(session),
    );
    if (answer.ok) return 'residual';
    if (answer.ended.kind === 'expired') return 'dead';
    return DOWN.includes(answer.ended.status) ? 'unreachable' : 'residual';
  }

  return {
    name,
    drainMs: config.drain_ms,
    // The deadline of a request covers its wait in the queue, so that no step takes longer than `timeout_ms`.
    loginLimitMs: config.login.length * config.timeout_ms,
    oneAtATime: sessionConfig.one_at_a_time,
    keepAliveTimes: keep_alive && {
      everyMs: keep_alive.every_seconds * 1000,
      forMs: keep_alive.for_seconds * 1000,
    },
    account: accounts,
    login: (account, checkpoint) => login(http, config, account.credentials, checkpoint, onStep),

    async call({ tool, arguments: args, backendToken, account, signal }) {
      const session = opened(backendToken, account);
      // Nothing has been sent yet, so the call may log in and start again.
      if (!session) return { kind: 'expired', status: null, beforeEffect: true };
      const turn = turnOf(session, signal);
      const result = await callTool(tool, args, turn);
      return result.kind === 'expired'
        ? result
        : { ...result, renewed: renewedBackendToken(config, session, turn.jar) };
    },

    async keepAlive(backendToken) {
      const session = opened(backendToken);
      if (!keep_alive || !session) return { kind: 'expired' };
      const turn = turnOf(session);
      const answer = await ask(
        { request: keep_alive.request, values: session.values, expectation: own(keep_alive), writes: false },
        turn,
      );
      return answer.ok
        ? { kind: 'ok', renewed: renewedBackendToken(config, session, turn.jar) }
        : { kind: answer.ended.kind };
    },

    async logout(backendToken) {
      const session = opened(await complete(http, config, backendToken));
      if (!session) return 'residual';
      if (!logout) return probed(session);
      // Backends answer a logout with a redirect, a page or an error, so the answer proves nothing; the probe does.
      const answer = await ask(
        { request: logout.request, values: session.values, expectation: logout, writes: true },
        turnOf(session),
      );
      if (!answer.ok && answer.ended.kind === 'failed' && (answer.unsent || DOWN.includes(answer.ended.status))) {
        onLogoutFailure?.(answer.ended.detail);
        return 'unreachable';
      }
      return probed(session);
    },

    health: () => http.health(),
    close: () => http.close(),
  };
}

/** Probes and keep-alive requests have pages of their own, to which "assert" of the backend does not apply. */
const own = (part: Expectation): Expectation => ({ ...part, assert: part.assert ?? [] });

/**
 * Makes backend tokens ready for use, and keeps them so for as long as the token object lives. Undefined when the
 * backend token was made under another configuration and lacks values that this one needs.
 */
function createOpener(
  config: BackendConfig,
): (token: BackendTokenSecret, account?: Account) => OpenSession | undefined {
  const open = new WeakMap<BackendTokenSecret, OpenSession>();
  return (backendToken, account) => {
    const known = open.get(backendToken);
    // A session that was opened without its account, as for a logout, does not know which credentials to blank.
    if (known && (account === undefined || known.account === account)) return known;
    try {
      const fresh = openSession(config, backendToken.reveal(), account);
      open.set(backendToken, fresh);
      return fresh;
    } catch (thrown) {
      if (thrown instanceof UnbuildableError) return undefined;
      throw thrown;
    }
  };
}
