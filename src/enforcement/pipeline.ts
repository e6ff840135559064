// The way of one tool call, top to bottom. No backend session is used or opened before the decision is made and
// on record. A call without a result was denied by the policy, refused by the connector, or cancelled.
import type { AuditLog } from '../audit/log.ts';
import type { BackendPort } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import type { Evaluator } from '../decision/evaluator.ts';
import { buildInput } from '../decision/input.ts';
import type { FactsPort } from '../facts/port.ts';
import { boundTo, type Place } from '../session/bound.ts';
import type { SessionManager } from '../session/manager.ts';
import { codesOf, type Reply, STEPS, type Tool, type ToolCall } from './call.ts';
import { mask } from './mask.ts';
import { carryOut } from './obligations.ts';
import { observe } from './observe.ts';
import { countUndecided, refusal, refuseUndecided, withhold } from './refusals.ts';
import { createTrail, type PolicyIdentity, type Trail } from './trail.ts';
import { useSession } from './use-session.ts';

/** The ports that the pipeline brings together. */
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

/** Decides one call and, if allowed, carries it out. Never rejects: every failure becomes a reply. */
export type Pipeline = (call: ToolCall) => Promise<Reply>;

/** Creates the pipeline. */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { tools, backends, facts, evaluator, policy, audit, sessions, clock } = options;

  /** Decides one call and carries it out. `trail` puts the decision on record before anything happens. */
  async function enforce(call: ToolCall, tool: Tool, backend: BackendPort, trail: Trail): Promise<Reply> {
    const { scope } = call;
    const refuse = refusal(trail);

    let denied = true;
    try {
      const known = await observe(call, trail.decisionId, tool, facts, sessions, clock).catch(() => undefined);
      if (!known) return await refuseUndecided(trail, 'facts.unavailable', 'the store did not answer');
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

      const account = backend.account(scope.client);
      if (!account)
        return refuse('backend.no_account', 'no credentials for this client; see "accounts" of the backend');
      const request = {
        backend,
        owner: scope.client.ref,
        issuer: scope.client.issuer,
        bound: boundTo(placeOf(call), known.observed.record?.bound),
        account,
        limit: carried.sessionLimit,
      };
      const result = await sessions.inTurn(request, () =>
        useSession({ call, tool, request, decision, observed: known.observed, sessions, trail }),
      );
      if (!result.ok && 'withheld' in result && result.withheld)
        return withhold(trail, tool, result.code, result.detail, result.status);
      if (!result.ok)
        return refuse(result.code, result.detail, 'status' in result ? result.status : null, result.retryAfterSeconds);
      call.progress(STEPS, STEPS, 'answered');

      if (carried.masks.length > 0 && (typeof result.value !== 'object' || result.value === null)) {
        return withhold(trail, tool, 'obligation.failed', 'mask on a result that has no fields', null);
      }
      const value = mask(result.value, carried.masks);
      // A client would drop a result that does not match the schema it was shown, so the call is refused instead:
      // then the reason code says what went wrong.
      if (carried.masks.length > 0 && tool.validateResult?.(value) !== undefined)
        return withhold(
          trail,
          tool,
          'obligation.failed',
          'the masked result does not match result.schema; let it say "[masked]" there',
          null,
        );
      trail.finished('success', codes);
      return { kind: 'result', value, blob: result.blob, decisionId: trail.decisionId };
    } finally {
      // The call does not wait for this: only the end of the call is left to be counted.
      void facts.finished(scope.client.ref, trail.decisionId, { denied }).catch(() => {});
    }
  }

  return async (call) => {
    const trail = createTrail(call, audit, policy, clock);
    const tool = tools.get(call.name);
    const backend = tool && backends.get(tool.backend);
    if (!tool || !backend) {
      await countUndecided(call, trail.decisionId, facts);
      await refuseUndecided(trail, 'call.unknown_tool', 'no such tool');
      return { kind: 'unknown_tool', decisionId: trail.decisionId };
    }
    const normal = tool.normalise(call.arguments);
    if (!normal.ok) {
      await countUndecided(call, trail.decisionId, facts);
      const refused = await refuseUndecided(trail, 'call.invalid_arguments', normal.problem);
      return refused.reasons.includes('audit.unavailable')
        ? refused
        : { kind: 'invalid_arguments', problem: normal.problem, decisionId: trail.decisionId };
    }
    try {
      return await enforce({ ...call, arguments: normal.arguments }, tool, backend, trail);
    } catch {
      return refusal(trail)('internal.error', 'fault');
    }
  };
}

function placeOf({ scope }: ToolCall): Place {
  const { client, ip, network } = scope;
  return { client_id: client.id, subject: client.subject, key: client.auth.key, ip, network };
}
