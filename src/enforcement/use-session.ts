// The second door: a decided call, and the session it may use. One new login when the backend has
// ended the session, then stop.
import type { Blob, CallResult } from '../backend/port.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { PolicyDecision } from '../decision/schema.ts';
import type { Json } from '../formats/json.ts';
import type { Acquired, ObservedSession, SessionManager, SessionRequest } from '../session/manager.ts';
import { codesOf, STEPS, type Tool, type ToolCall } from './call.ts';
import type { Trail } from './trail.ts';

export interface Unused {
  ok: false;
  code: RefusalCode;
  detail: string;
  status: number | null;
  /** When it makes sense to call again, as far as it is known. */
  retryAfterSeconds?: number | undefined;
}

export type Used = { ok: true; value: Json; blob: Blob | undefined } | Unused;

export interface UseOptions {
  call: ToolCall;
  tool: Tool;
  request: SessionRequest;
  decision: Pick<PolicyDecision, 'outcome' | 'reasons'>;
  /** What the decision saw. */
  observed: ObservedSession;
  sessions: SessionManager;
  trail: Trail;
}

export async function useSession(options: UseOptions): Promise<Used> {
  const { request, decision, observed, sessions } = options;
  const { record } = observed;
  const reasons = codesOf(decision.reasons).join(' ');
  switch (decision.outcome) {
    case 'deny':
      throw new Error('a denied call must not reach a session');
    case 'rotate':
      // Without a session there is nothing to rotate: the first login gives a new one anyway.
      if (record) return call(await sessions.rotate(request, observed, reasons), options);
      return call(await sessions.acquire(request, observed), options);
    case 'allow':
      // The claims of the client name another account now. The session of the first account is not for it.
      if (record && !sessions.ofAccount(record, request.account))
        return call(await sessions.rotate(request, observed, 'the client has another account'), options);
      return call(await sessions.acquire(request, observed), options);
  }
}

async function call(acquired: Acquired, options: UseOptions, again = true): Promise<Used> {
  const { call: toolCall, tool, request, sessions, trail } = options;
  const refuse = (code: RefusalCode, detail: string, status: number | null = null): Unused => ({
    ok: false,
    code,
    detail,
    status,
  });
  if (!acquired.ok) return { ...acquired, status: null };

  const { session } = acquired;
  let result: CallResult;
  try {
    trail.used(session.record);
    toolCall.progress(2, STEPS, 'calling the backend');
    if (toolCall.signal.aborted) return refuse('call.cancelled', 'before the backend was called');
    result = await request.backend.call({
      tool: tool.name,
      arguments: toolCall.arguments,
      backendToken: session.backendToken,
      account: request.account,
      signal: toolCall.signal,
    });
    trail.answered(result.status);
    if (result.kind !== 'expired' && result.renewed) await sessions.renew(session, result.renewed);
  } finally {
    session.release();
  }

  switch (result.kind) {
    case 'ok':
      return { ok: true, value: result.value, blob: result.blob };
    case 'failed':
      return { ...refuse(result.code, result.detail, result.status), retryAfterSeconds: result.retryAfterSeconds };
    case 'expired': {
      if (!again) return refuse('session.expired', 'ended again right after a new login', result.status);
      const ended = { record: session.record, revocations: options.observed.revocations };
      const next = await sessions.rotate(request, ended, 'the backend ended the session');
      if (tool.repeatable || result.beforeEffect) return call(next, options, false);
      // The write may have been done before its answer was lost to a login page. The next call finds a session.
      if (next.ok) next.session.release();
      return refuse('session.expired', 'a write is not repeated', result.status);
    }
  }
}
