// Asks a backend one thing on one session: sends the request, with CSRF tokens when it needs them, and judges the
// answer before anything else looks at it.
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { RequestTemplate } from '../../config/schema/request.ts';
import type { RequestOutcome } from '../../decision/refusal-codes.ts';
import { secretsOf, spellings } from '../answer/scrub.ts';
import { type Expectation, judge, type Verdict } from '../answer/verdict.ts';
import type { BackendHttp } from '../http/http.ts';
import type { BackendResponse } from '../http/response.ts';
import { send, unanswered } from '../http/send.ts';
import type { Values } from '../http/values.ts';
import { attachedTo, createCsrfTokens, withCsrfTokens } from './csrf.ts';
import { takeValues } from './open-session.ts';
import { renewedValues, strayOf } from './renewal.ts';
import type { Answer, Turn } from './turn.ts';

export interface Question {
  request: RequestTemplate;
  values: Values;
  expectation: Expectation;
  /** Whether it changes something, so that headers for writes go with it. */
  writes: boolean;
}

/** Called with each answer on a session before it is judged, and with the request that it answers. */
export type OnAnswer = (response: BackendResponse, request: RequestTemplate) => void;

export interface AskOptions {
  http: BackendHttp;
  config: BackendConfig;
  onAnswer?: OnAnswer | undefined;
  /** Called with each request that had a good answer. */
  onGood?: ((request: RequestTemplate) => void) | undefined;
}

export type Ask = (question: Question, turn: Turn) => Promise<Answer>;

export function createAsk({ http, config, onAnswer, onGood }: AskOptions): Ask {
  const tokensFor = createCsrfTokens(http, config);

  /** How long the backend asked to be left alone, when it answered 429 or 503. */
  function wait({ status }: BackendResponse): { retryAfterSeconds?: number } {
    const seconds = status === 429 || status === 503 ? http.health().pausedSeconds : 0;
    return seconds > 0 ? { retryAfterSeconds: seconds } : {};
  }

  /**
   * When the backend refuses the CSRF token, a new one is fetched and the request is sent once more, even a write: the
   * configuration vouches that an answer which looks like that (`csrf.refused`) means that nothing was done.
   */
  async function ask(question: Question, turn: Turn, again = true): Promise<Answer> {
    const { request, values, expectation, writes } = question;
    const { session, signal } = turn;
    const fetched = config.csrf && (await tokensFor(request, writes, turn));
    if (fetched && !fetched.ok) return { ok: false, ended: fetched.result, unsent: true };
    const used = fetched && session.csrf;
    const filled = withCsrfTokens(values, fetched?.tokens);
    const attached = attachedTo(writes, config, session, filled);
    const sent = await send(http, request, filled, turn.jar, attached, !writes, signal);
    turn.sent ||= sent.ok || sent.sent;
    if (!sent.ok) {
      turn.unanswered ||= sent.sent;
      keepStray(config, sent, sent.url, turn);
      return { ok: false, ended: unanswered(sent) };
    }
    const { response, url } = sent;
    onAnswer?.(response, request);
    const bring = () => keepStray(config, { setCookies: response.setCookies, response }, url, turn);
    let verdict: Verdict;
    try {
      verdict = judge(response, config, expectation, http.url, fetched !== undefined);
      // Only an answer that is good or satisfies "assert" may change the session. Any other may set a new anonymous
      // cookie, which would replace the session by one that is not logged in.
      if (verdict.kind === 'good' || (verdict.kind === 'failed' && verdict.ours)) {
        if (!keep(config, response, url, turn)) bring();
      } else bring();
    } catch (thrown) {
      bring();
      throw thrown;
    }
    const { status } = response;
    const failed = (
      code: 'backend.rejected' | 'backend.redirected',
      detail: string,
      outcome: RequestOutcome = 'rejected',
    ): Answer => ({
      ok: false,
      ended: { kind: 'failed', code, detail, status, outcome, ...wait(response) },
      response,
    });
    switch (verdict.kind) {
      case 'good':
        onGood?.(request);
        return { ok: true, response };
      case 'expired':
        return {
          ok: false,
          ended: { kind: 'expired', status, outcome: verdict.beforeEffect ? 'rejected' : 'sent_unknown' },
        };
      case 'csrf_refused':
        // Another call may have fetched new CSRF tokens in the meantime; those are kept.
        if (session.csrf === used) session.csrf = undefined;
        if (turn.session.csrf === used) turn.session.csrf = undefined;
        if (!fetched || !again) return failed('backend.rejected', 'the backend does not accept the CSRF token');
        return ask(question, turn, false);
      case 'redirected':
        // Most applications answer a form that they have taken with a redirect.
        return failed('backend.redirected', verdict.detail, 'sent_unknown');
      case 'failed':
        return failed('backend.rejected', verdict.detail, verdict.refused ? 'rejected' : 'sent_unknown');
    }
  }

  return (question, turn) => ask(question, turn);
}

/**
 * Takes the cookies and values of an answer into the turn. Answers false when a value is none that the session could send:
 * then the session stays as it is, whatever was done.
 */
function keep(config: BackendConfig, response: BackendResponse, url: string, turn: Turn): boolean {
  const { setCookies } = response;
  if (setCookies.length > 0) {
    turn.jar = turn.jar.copy();
    turn.jar.store(setCookies, url);
    turn.secrets.push(
      ...spellings(secretsOf({ cookies: turn.jar.keep(config.session.cookies), values: {} }), { pieces: true }),
    );
  }
  const values = renewedValues(config, turn.session.token.values, response, turn.jar);
  return values === undefined || takeValues(config, values, turn);
}

/** Notes what an answer that is no good has brought beside the session. */
function keepStray(
  config: BackendConfig,
  answer: { setCookies: readonly string[]; response?: BackendResponse },
  url: string,
  turn: Turn,
) {
  const { values } = turn.session.token;
  const stray = strayOf(config, { cookies: turn.jar.keep(config.session.cookies), values }, { ...answer, url });
  if (!stray) return;
  turn.strays.push(stray);
  turn.secrets.push(...spellings(secretsOf(stray.reveal(), config.session.public), { pieces: true }));
}
