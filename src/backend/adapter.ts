// Implements the backend port for one legacy application server from its configuration alone.
import type { BackendConfig } from '../config/schema/backend.ts';
import type { ToolConfig } from '../config/schema/tool.ts';
import type { Clock } from '../core/clock.ts';
import { Secret } from '../core/secret.ts';
import type { Account, Accounts } from './accounts.ts';
import type { ForwardProxy } from './http/connection/proxy.ts';
import { createBackendHttp, type OnExchange } from './http/http.ts';
import { UnbuildableError } from './http/values.ts';
import type { BackendPort, BackendQuota, BackendTokenSecret, CallResult, Changes } from './port.ts';
import { createAsk, type OnAnswer } from './session/ask.ts';
import { complete, login, type OnStep } from './session/login.ts';
import { createLogout, own } from './session/logout.ts';
import { type OpenSession, openSession } from './session/open-session.ts';
import { bringsNew, merged, renewed } from './session/renewal.ts';
import { type Turn, turnOf } from './session/turn.ts';
import { createToolCalls } from './tool-calls.ts';

/** What a backend is built from. `tools` may hold those of other backends, which are left out. */
export interface AdapterOptions {
  name: string;
  config: BackendConfig;
  tools: Record<string, ToolConfig>;
  accounts: Accounts;
  clock: Clock;
  proxy?: ForwardProxy | undefined;
  onExchange?: OnExchange | undefined;
  /** Called after each login step, for `sallyport backend check`. */
  onStep?: OnStep;
  /** Called with the answers to tools, probes, keep-alive requests and logouts. */
  onAnswer?: OnAnswer;
  /** Called with the reason when a logout could not be carried out. */
  onLogoutFailure?: (detail: string) => void;
}

/** Throws when the configuration names a CA file that cannot be read, or a result schema that does not compile. */
export function createBackendAdapter(options: AdapterOptions): BackendPort {
  const { name, config, accounts, clock, onStep, onAnswer, onLogoutFailure } = options;
  const { session: sessionConfig, keep_alive } = config;
  const http = createBackendHttp(options);
  const ask = createAsk({ http, config, onAnswer, onGood: (request) => noteGood(request) });
  const callTool = createToolCalls({ name, config, tools: options.tools, url: http.url, ask });
  const opened = createOpener(config);
  const { logout, noteGood } = createLogout({ config, clock, ask, opened, changes, onLogoutFailure });

  let renews = false;
  /** What the answers of a call have changed in its session. */
  function changes(session: OpenSession, turn: Turn): Changes {
    const untouched = turn.jar === session.jar && turn.session === session;
    if (untouched) return { strays: turn.strays, unanswered: renews && turn.unanswered };
    const { cookies } = sessionConfig;
    const before = { cookies: session.jar.keep(cookies), values: session.token.values };
    const after = { cookies: turn.jar.keep(cookies), values: turn.session.token.values };
    const changed = renewed(config, before, after);
    if (changed) {
      renews = true;
      // What was fetched for the session, such as a CSRF token, stays with it.
      opened.keep(changed, turn.session);
    }
    // The backend has taken one cookie of the session away and set another: that is no renewal, but it may live.
    const left = !changed && bringsNew(before, after) ? [new Secret(after)] : [];
    return { renewed: changed, strays: [...turn.strays, ...left], unanswered: renews && turn.unanswered };
  }

  return {
    name,
    drainMs: config.drain_ms,
    // The deadline of a request covers its wait in the queue, so that no step takes longer than `timeout_ms`.
    loginLimitMs: config.login.length * config.timeout_ms,
    quota: quotaOf(config),
    oneAtATime: sessionConfig.one_at_a_time,
    keepAliveTimes: keep_alive && {
      everyMs: keep_alive.every_seconds * 1000,
      forMs: keep_alive.for_seconds * 1000,
    },
    account: accounts,
    login: (account, checkpoint) => login(http, config, account.credentials, checkpoint, onStep),

    async call({ tool, arguments: args, backendToken, account, signal }) {
      const session = opened(backendToken, account);
      // Nothing has been sent yet, so the call may log in and start again. Without its cookies it would be answered with a
      // login page, and a write would not be repeated.
      if (!session || session.jar.over()) return { kind: 'expired', status: null, outcome: 'not_sent' };
      const turn = turnOf(session, signal);
      // Whatever happens, what the answers have changed is not lost with it.
      const result = await callTool(tool, args, turn).catch(
        (): CallResult => ({
          kind: 'failed',
          code: 'backend.response_unusable',
          detail: 'fault',
          status: null,
          outcome: 'sent_unknown',
        }),
      );
      return { ...result, ...changes(session, turn) };
    },

    async keepAlive(backendToken) {
      const session = opened(backendToken);
      if (!keep_alive || !session) return { kind: 'expired' };
      const turn = turnOf(session);
      const answer = await ask(
        { request: keep_alive.request, values: session.values, expectation: own(keep_alive), writes: false },
        turn,
      );
      return { kind: answer.ok ? 'ok' : answer.ended.kind, ...changes(session, turn) };
    },

    merge(base, mine, present) {
      const token = new Secret(merged(base.reveal(), mine.reveal(), present.reveal()));
      const session = opened(mine);
      if (session) opened.keep(token, session);
      return token;
    },

    logout: async (backendToken, left) => logout(await complete(http, config, backendToken), left),

    health: () => http.health(),
    close: () => http.close(),
  };
}

const quotaOf = ({ limits, timeout_ms }: BackendConfig): BackendQuota => ({
  calls: limits.calls,
  waitMs: timeout_ms,
  perMinute: limits.logins_per_minute,
  failures: { most: limits.failed_logins.most, withinMs: limits.failed_logins.within_seconds * 1000 },
});

/**
 * Makes backend tokens ready for use, and keeps them so for as long as the token object lives. Undefined when the
 * backend token was made under another configuration and lacks values that this one needs.
 */
function createOpener(config: BackendConfig) {
  const open = new WeakMap<BackendTokenSecret, OpenSession>();
  const opener = (backendToken: BackendTokenSecret, account?: Account): OpenSession | undefined => {
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
  return Object.assign(opener, {
    /** Opens a backend token that has come out of this session, with what was fetched for the session. */
    keep(backendToken: BackendTokenSecret, { account, csrf }: OpenSession): void {
      const session = opener(backendToken, account);
      if (session) session.csrf = csrf;
    },
  });
}
