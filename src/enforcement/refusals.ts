// The ways in which the connector refuses a call. The client gets a code; `detail` stays in the audit log.
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { FactsPort } from '../facts/port.ts';
import type { Reply, Tool, ToolCall } from './call.ts';
import type { Trail } from './trail.ts';

/** The reply to a call that the connector refused. */
export type Refused = Extract<Reply, { kind: 'refused' }>;

/**
 * Refuses a call after the attempt to decide it; the decision record is not written here. Answers the reply and
 * writes the record of how the call ended. A cancelled call is reported as cancelled.
 */
export const refusal =
  (trail: Trail) =>
  (code: RefusalCode, detail?: string, status: number | null = null, retryAfterSeconds?: number): Reply => {
    const { decisionId } = trail;
    const cancelled = code === 'call.cancelled';
    trail.finished(cancelled ? 'cancelled' : 'refused', [code], detail);
    return cancelled
      ? { kind: 'cancelled', decisionId }
      : { kind: 'refused', reasons: [code], decisionId, status, retryAfterSeconds };
  };

/**
 * Ends a call whose answer came and must not leave. A read is refused. A write was done, and whoever is told otherwise
 * does it twice.
 */
export function withhold(trail: Trail, tool: Tool, code: RefusalCode, detail: string, status: number | null): Reply {
  if (tool.effect === 'read') return refusal(trail)(code, detail, status);
  trail.finished('done_answer_withheld', [code], detail);
  return { kind: 'withheld', reasons: [code], decisionId: trail.decisionId };
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
  trail.finished('refused', [recorded], detail);
  return { kind: 'refused', reasons: [recorded], decisionId: trail.decisionId, status: null };
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
