// The second door: gives a decided call the session it may use. When the backend has ended that session, there is
// one new login and no further attempt.
import type { Blob, CallResult } from '../backend/port.ts';
import type { RefusalCode, RequestOutcome } from '../decision/refusal-codes.ts';
import type { PolicyDecision } from '../decision/schema.ts';
import type { Json } from '../formats/json.ts';
import type { Acquired, ObservedSession, SessionManager, SessionRequest } from '../session/manager.ts';
import { sameLogin } from '../session/pending.ts';
import { codesOf, STEPS, type Tool, type ToolCall } from './call.ts';
import type { Trail } from './trail.ts';

/** The call has no result. `status` is the HTTP status of the backend, if it answered. */
export interface Unused {
  ok: false;
  code: RefusalCode;
  detail: string;
  status: number | null;
  /** After how many seconds calling again makes sense, if known. */
  retryAfterSeconds?: number | undefined;
  outcome: RequestOutcome;
  /** The backend's own reason for its refusal. */
  said?: string | undefined;
}

/** The result of the backend, or why there is none. */
export type Used = { ok: true; value: Json; text: string | undefined; blob: Blob | undefined } | Unused;

/** A decided call and everything needed to carry it out. */
export interface UseOptions {
  call: ToolCall;
  tool: Tool;
  request: SessionRequest;
  decision: Pick<PolicyDecision, 'outcome' | 'reasons'>;
  /** The session as the decision observed it. */
  observed: ObservedSession;
  sessions: SessionManager;
  trail: Trail;
}

/**
 * Carries out the call on the session that its decision observed. Rotates first when the decision orders it, or
 * when the session was opened with another account.
 */
export async function useSession(options: UseOptions): Promise<Used> {
  const { request, decision, observed, sessions } = options;
  const { record } = observed;
  const reasons = codesOf(decision.reasons).join(' ');
  switch (decision.outcome) {
    case 'deny':
      throw new Error('a denied call must not reach a session');
    case 'rotate':
      // Without a session there is nothing to rotate: the first login gives a new one anyway.
      if (record) return call(await unlessCut(sessions.rotate(request, observed, reasons), options), options);
      return call(await unlessCut(sessions.acquire(request, observed), options), options);
    case 'allow':
      // The claims of the client name another account now. The session of the first account is not for it.
      if (record && !sessions.ofAccount(record, request.account))
        return call(
          await unlessCut(sessions.rotate(request, observed, 'the client has another account'), options),
          options,
        );
      return call(await unlessCut(sessions.acquire(request, observed), options), options);
  }
}

/**
 * A login cannot be aborted without leaving a session behind that nobody knows of. So a call that is cut short leaves it to
 * itself, and the session it gives is nobody's.
 */
function unlessCut(acquiring: Promise<Acquired>, { call: { signal } }: UseOptions): Promise<Acquired> {
  return new Promise((resolve, reject) => {
    let cut = false;
    const leave = () => {
      if (signal.cause !== 'stopping') return;
      cut = true;
      resolve({ ok: false, code: 'call.cut_short', detail: 'the connector stops during a login' });
    };
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    acquiring.then((acquired) => {
      signal.removeEventListener('abort', leave);
      if (!cut) resolve(acquired);
      else if (acquired.ok) acquired.session.release();
    }, reject);
  });
}

/** `before`: what became of the first request, where this is the second. */
async function call(acquired: Acquired, options: UseOptions, before?: RequestOutcome): Promise<Used> {
  const { call: toolCall, tool, request, sessions, trail } = options;
  const refuse = (code: RefusalCode, detail: string, status: number | null, outcome: RequestOutcome): Unused => ({
    ok: false,
    code,
    detail,
    status,
    outcome,
  });
  const unsent = before ?? 'not_sent';
  if (!acquired.ok) return { ...acquired, status: null, outcome: unsent };

  const { session } = acquired;
  let result: CallResult;
  try {
    const { record: seen } = options.observed;
    trail.used(session.record, !seen || !sameLogin(seen, session.record));
    toolCall.progress(2, STEPS, 'calling the backend');
    if (toolCall.signal.aborted)
      return refuse(
        toolCall.signal.cause === 'stopping' ? 'call.cut_short' : 'call.cancelled',
        'before the backend was called',
        null,
        unsent,
      );
    trail.asked();
    result = await request.backend.call({
      tool: tool.name,
      arguments: toolCall.arguments,
      backendToken: session.backendToken,
      account: request.account,
      signal: toolCall.signal,
    });
    trail.answered(result.status);
    await sessions.changed(session, result, result.kind === 'expired', trail.decisionId);
  } finally {
    session.release();
  }

  switch (result.kind) {
    case 'ok':
      return { ok: true, value: result.value, text: result.text, blob: result.blob };
    case 'failed':
      return {
        ...refuse(result.code, result.detail, result.status, atWorst(before, result.outcome)),
        retryAfterSeconds: result.retryAfterSeconds,
        said: result.said,
      };
    case 'expired': {
      const { outcome } = result;
      if (before !== undefined)
        return refuse(
          'session.expired',
          'ended again right after a new login',
          result.status,
          atWorst(before, outcome),
        );
      const ended = { record: session.record, revocations: options.observed.revocations };
      const next = await sessions.rotate(request, ended, 'the backend ended the session', true);
      if (tool.repeatable || outcome !== 'sent_unknown') return call(next, options, outcome);
      // The backend may have done the write before its answer was replaced by a login page, so it is not
      // repeated. The next call finds the new session.
      if (next.ok) next.session.release();
      return refuse('session.expired', 'a write is not repeated', result.status, outcome);
    }
  }
}

/** What is known of two requests for one call, of which the first may have been done already. */
const atWorst = (before: RequestOutcome | undefined, last: RequestOutcome): RequestOutcome =>
  before === 'sent_unknown' && (last === 'not_sent' || last === 'rejected') ? before : last;
