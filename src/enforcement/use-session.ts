// The second door: a decided call, and the session it may use. One new login when the backend has
// ended the session, then stop.
import type { CallResult } from '../backend/port.ts';
import type { Json } from '../core/json.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { Acquired, Seen, SessionManager, SessionRequest } from '../session/manager.ts';
import { STEPS, type Tool, type ToolCall } from './call.ts';
import type { Trail } from './trail.ts';

export type Used = { ok: true; value: Json } | { ok: false; code: RefusalCode; detail: string; status: number | null };

export interface UseOptions {
  call: ToolCall;
  tool: Tool;
  request: SessionRequest;
  /** What the decision saw. */
  seen: Seen;
  sessions: SessionManager;
  trail: Trail;
}

export async function useSession(acquired: Acquired, options: UseOptions, again = true): Promise<Used> {
  const { call, tool, request, sessions, trail } = options;
  const refuse = (code: RefusalCode, detail: string, status: number | null = null): Used => ({
    ok: false,
    code,
    detail,
    status,
  });
  if (!acquired.ok) return refuse(acquired.code, acquired.detail);

  const { session } = acquired;
  let result: CallResult;
  try {
    trail.used(session.record);
    call.progress(2, STEPS, 'calling the backend');
    if (call.signal.aborted) return refuse('call.cancelled', 'before the backend was called');
    result = await request.backend.call(tool.name, call.arguments, session.token, call.signal);
    trail.answered(result.status);
    if (result.kind !== 'expired' && result.renewed) await sessions.renew(session, result.renewed);
  } finally {
    session.release();
  }

  switch (result.kind) {
    case 'ok':
      return { ok: true, value: result.value };
    case 'failed':
      return refuse(result.code, result.detail, result.status);
    case 'expired': {
      if (!again) return refuse('session.expired', 'ended again right after a new login', result.status);
      const seen = { record: session.record, revocations: options.seen.revocations };
      const next = await sessions.rotate(request, seen, 'the backend ended the session');
      if (tool.effect === 'read') return useSession(next, options, false);
      // The write may have been done before its answer was lost to a login page. The next call finds a session.
      if (next.ok) next.session.release();
      return refuse('session.expired', 'a write is not repeated', result.status);
    }
  }
}
