// The way of one tool call, top to bottom (DESIGN.md). Nothing touches a backend session before the
// decision is made and on record; every way out that is not a result is a refusal.
import type { AuditLog } from '../audit/log.ts';
import type { BackendPort, CallResult } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import type { Evaluator } from '../decision/evaluator.ts';
import { buildInput } from '../decision/input.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { Bound } from '../decision/schema.ts';
import type { FactsPort } from '../facts/port.ts';
import type { Acquired, SessionManager, SessionRequest } from '../session/manager.ts';
import { codesOf, type Reply, type Tool, type ToolCall } from './call.ts';
import { mask } from './mask.ts';
import { carryOut } from './obligations.ts';
import { observe } from './observe.ts';
import { createTrail, type PolicyIdentity, type Trail } from './trail.ts';

export interface PipelineOptions {
  tools: ReadonlyMap<string, Tool>;
  backends: ReadonlyMap<string, BackendPort>;
  facts: FactsPort;
  evaluator: Evaluator;
  policy: PolicyIdentity;
  audit: AuditLog;
  sessions: SessionManager;
  clock: Clock;
}

export type Pipeline = (call: ToolCall) => Promise<Reply>;

const STEPS = 3;

export function createPipeline(options: PipelineOptions): Pipeline {
  const { tools, backends, facts, evaluator, policy, audit, sessions, clock } = options;

  /** Decides one call and carries it out. `trail` has the decision on record before anything happens. */
  async function enforce(call: ToolCall, tool: Tool, backend: BackendPort, trail: Trail): Promise<Reply> {
    const { scope } = call;
    const refuse = refusal(trail);

    const known = await observe(call, tool, facts, sessions, clock).catch(() => undefined);
    if (!known) return refuseUndecided(trail, 'facts.unavailable', 'the store did not answer');
    let denied = true;
    try {
      const input = buildInput({ now: known.now, ...scope, tool, arguments: call.arguments, ...known.facts });
      const evaluation = evaluator.evaluate(input);
      let decision: Awaited<ReturnType<Trail['decided']>>;
      try {
        decision = await trail.decided(tool, input, evaluation);
      } catch {
        return refuse('audit.unavailable', 'the decision log cannot be written');
      }
      if (!decision) return refuse(evaluation.ok ? 'decision.error' : evaluation.code);

      const codes = codesOf(decision.reasons);
      const carried = await carryOut(decision, {
        alert: (severity) => trail.alert(severity, codes),
        revokeSession: () => sessions.revoke(backend, scope.client.ref, codes.join(' ')),
      });
      if (!carried.ok) return refuse('obligation.failed', carried.detail);
      if (decision.outcome === 'deny') {
        trail.finished('denied', codes);
        return { kind: 'denied', reasons: codes, decisionId: trail.decisionId, requiredScopes: carried.requiredScopes };
      }
      denied = false;
      call.progress(1, STEPS, 'decided');

      const request = { backend, owner: scope.client.ref, bound: boundTo(call) };
      const acquired = await (decision.outcome === 'rotate' && known.seen.record
        ? sessions.rotate(request, known.seen, codes.join(' '))
        : sessions.acquire(request, known.seen));
      const result = await use(acquired, call, tool, request, known.seen.revocations, trail);
      if (!result.ok) return refuse(result.code, result.detail, result.status);
      call.progress(STEPS, STEPS, 'answered');

      if (carried.masks.length > 0 && (typeof result.value !== 'object' || result.value === null)) {
        return refuse('obligation.failed', 'mask on a result that has no fields');
      }
      trail.finished('success', codes);
      return { kind: 'result', value: mask(result.value, carried.masks), decisionId: trail.decisionId };
    } finally {
      await facts.finished(scope.client.ref, { denied }).catch(() => {});
    }
  }

  type Used =
    | { ok: true; value: Extract<CallResult, { kind: 'ok' }>['value'] }
    | { ok: false; code: RefusalCode; detail: string; status: number | null };

  /** Calls the backend with a session. One new login when the backend has ended it, then stop. */
  async function use(
    acquired: Acquired,
    call: ToolCall,
    tool: Tool,
    request: SessionRequest,
    revocations: number,
    trail: Trail,
    again = true,
  ): Promise<Used> {
    if (!acquired.ok) return { ...acquired, status: null };
    const { session } = acquired;
    let result: CallResult;
    try {
      trail.used(session.record);
      call.progress(2, STEPS, 'calling the backend');
      if (call.signal.aborted)
        return { ok: false, code: 'call.cancelled', detail: 'before the backend was called', status: null };
      result = await request.backend.call(tool.name, call.arguments, session.token, call.signal);
      trail.answered(result.status);
      if (result.kind !== 'expired' && result.renewed) await sessions.renew(session, result.renewed);
    } finally {
      session.release();
    }
    if (result.kind === 'ok') return { ok: true, value: result.value };
    if (result.kind === 'failed') return { ok: false, code: result.code, detail: result.detail, status: result.status };
    const expired = (detail: string): Used => ({ ok: false, code: 'session.expired', detail, status: result.status });
    if (!again) return expired('ended again right after a new login');
    const seen = { record: session.record, revocations };
    const next = await sessions.rotate(request, seen, 'the backend ended the session');
    if (tool.effect === 'read') return use(next, call, tool, request, revocations, trail, false);
    // The write may have been done before the answer was lost to a login page. The next call finds a session.
    if (next.ok) next.session.release();
    return expired('a write is not repeated');
  }

  return async (call) => {
    const trail = createTrail(call, audit, policy, clock);
    const tool = tools.get(call.name);
    const backend = tool && backends.get(tool.backend);
    if (!tool || !backend) {
      await countUndecided(call, facts);
      await refuseUndecided(trail, 'call.unknown_tool', 'no such tool');
      return { kind: 'unknown_tool', decisionId: trail.decisionId };
    }
    const problem = tool.validate(call.arguments);
    if (problem !== undefined) {
      await countUndecided(call, facts);
      const refused = await refuseUndecided(trail, 'call.invalid_arguments', problem);
      return refused.reasons.includes('audit.unavailable')
        ? refused
        : { kind: 'invalid_arguments', problem, decisionId: trail.decisionId };
    }
    try {
      return await enforce(call, tool, backend, trail);
    } catch {
      return refusal(trail)('internal.error', 'fault');
    }
  };
}

type Refused = Extract<Reply, { kind: 'refused' | 'cancelled' }> & { reasons: readonly string[] };

/** The one way to refuse a call whose decision is on record. `detail` stays in the audit log. */
const refusal =
  (trail: Trail) =>
  (code: RefusalCode, detail?: string, status: number | null = null): Reply => {
    const cancelled = code === 'call.cancelled';
    trail.finished(cancelled ? 'cancelled' : 'refused', [code], detail);
    return cancelled
      ? { kind: 'cancelled', decisionId: trail.decisionId }
      : { kind: 'refused', reasons: [code], decisionId: trail.decisionId, status };
  };

/** Refuses a call that no policy was asked about. It has a decision record like any other. */
async function refuseUndecided(
  trail: Trail,
  code: RefusalCode,
  detail: string,
): Promise<Extract<Refused, { kind: 'refused' }>> {
  const recorded = await trail.refused(code, detail).then(
    () => code,
    () => 'audit.unavailable' as const,
  );
  trail.finished('refused', [recorded], detail);
  return { kind: 'refused', reasons: [recorded], decisionId: trail.decisionId, status: null };
}

/** A call that no policy decides on is a denied call all the same: it counts, and its id is used up. */
async function countUndecided({ scope, rpcId }: ToolCall, facts: FactsPort): Promise<void> {
  const rpc = scope.handle === null ? null : { handle: scope.handle, id: rpcId };
  try {
    await facts.observe({ client: scope.client.ref, network: scope.network, rpc, session: null });
    await facts.finished(scope.client.ref, { denied: true });
  } catch {
    // It is refused anyway.
  }
}

function boundTo({ scope }: ToolCall): Bound {
  const { client, ip, network } = scope;
  return { client_id: client.id, subject: client.subject, ip, network, key: client.auth.key };
}
