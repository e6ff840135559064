// The ways in which the connector refuses a call. The client gets a code; `detail` stays in the audit log.

import type { RefusalCode, RequestOutcome } from '../decision/refusal-codes.ts';
import type { FactsPort } from '../facts/port.ts';
import type { Reply, Tool, ToolCall } from './call.ts';
import type { Trail } from './trail.ts';

/** The reply to a call that the connector refused. */
export type Refused = Extract<Reply, { kind: 'refused' }>;

/** What is known of a refused call besides its code. By default nothing was sent to the backend. */
export interface Circumstances {
  status?: number | null;
  outcome?: RequestOutcome;
  retryAfterSeconds?: number | undefined;
  said?: string | undefined;
}

/**
 * Refuses a call after the attempt to decide it; the decision record is not written here. Answers the reply and
 * writes the record of how the call ended. A cancelled call is reported as cancelled.
 */
export const refusal =
  (trail: Trail, tool: Tool) =>
  (code: RefusalCode, detail?: string, known: Circumstances = {}): Reply => {
    const { decisionId } = trail;
    const { status = null, outcome = 'not_sent', retryAfterSeconds, said } = known;
    const cancelled = code === 'call.cancelled';
    trail.finished(cancelled ? 'cancelled' : 'refused', [code], { detail, request: outcome, said });
    const sent = { outcome, writes: tool.effect !== 'read' };
    return cancelled
      ? { kind: 'cancelled', decisionId, ...sent }
      : { kind: 'refused', reasons: [code], decisionId, status, retryAfterSeconds, said, ...sent };
  };

/**
 * Ends a call that was done, and whose answer cannot be read or must not leave. A read is refused. A write that is told
 * as refused would be done twice.
 */
export function done(
  trail: Trail,
  tool: Tool,
  code: RefusalCode,
  detail: string,
  outcome: 'done_answer_unreadable' | 'done_answer_withheld',
  status: number | null = null,
): Reply {
  if (tool.effect === 'read') return refusal(trail, tool)(code, detail, { status, outcome });
  trail.finished(outcome, [code], { detail, request: outcome });
  return { kind: 'done', outcome, reasons: [code], decisionId: trail.decisionId };
}

/**
 * Refuses a call about which no policy was asked. It gets a decision record like any other call; when that cannot
 * be written, the code is `audit.unavailable`.
 */
export async function refuseUndecided(trail: Trail, code: RefusalCode, detail: string): Promise<Refused> {
  const recorded = await trail.refused(code, detail).then(
    () => code,
    () => 'audit.unavailable' as const,
  );
  trail.finished('refused', [recorded], { detail, request: 'not_sent' });
  return { kind: 'refused', reasons: [recorded], decisionId: trail.decisionId, status: null, outcome: 'not_sent' };
}

/**
 * Counts a call that no policy decides on. It counts among the denials in the facts, and its JSON-RPC id is used
 * up, so that malformed calls are no way around usage limits and replay checks.
 */
export async function countUndecided({ scope, rpcId }: ToolCall, call: string, facts: FactsPort): Promise<void> {
  const rpc = scope.handle === null ? null : { handle: scope.handle, id: rpcId };
  const { client, network } = scope;
  // The call is refused in any case, whether the store answers or not.
  await facts.observe({ call, owner: client.ref, network, rpc, backend: null }).catch(() => {});
  void facts.finished(client.ref, call, { denied: true }).catch(() => {});
}
