// The ways to refuse a call. The client gets a code; `detail` stays in the audit log.
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { FactsPort } from '../facts/port.ts';
import type { Reply, ToolCall } from './call.ts';
import type { Trail } from './trail.ts';

export type Refused = Extract<Reply, { kind: 'refused' }>;

/** Refuses a call whose decision is on record. */
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

/** Refuses a call that no policy was asked about. It has a decision record like any other. */
export async function refuseUndecided(trail: Trail, code: RefusalCode, detail: string): Promise<Refused> {
  const recorded = await trail.refused(code, detail).then(
    () => code,
    () => 'audit.unavailable' as const,
  );
  trail.finished('refused', [recorded], detail);
  return { kind: 'refused', reasons: [recorded], decisionId: trail.decisionId, status: null };
}

/** A call that no policy decides on is a denied call all the same: it counts, and its id is used up. */
export async function countUndecided({ scope, rpcId }: ToolCall, call: string, facts: FactsPort): Promise<void> {
  const rpc = scope.handle === null ? null : { handle: scope.handle, id: rpcId };
  const { client, network } = scope;
  // It is refused anyway, whether the store answers or not.
  await facts.observe({ call, owner: client.ref, network, rpc, backend: null }).catch(() => {});
  void facts.finished(client.ref, call, { denied: true }).catch(() => {});
}
