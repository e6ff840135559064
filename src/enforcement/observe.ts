// Gathers what the decision is about: the session there is, and the facts, counted in the same step.
import type { Clock } from '../core/clock.ts';
import { wholeSeconds } from '../core/clock.ts';
import type { DecisionInput } from '../decision/schema.ts';
import type { FactsPort } from '../facts/port.ts';
import type { ObservedSession, SessionManager } from '../session/manager.ts';
import type { Tool, ToolCall } from './call.ts';

export interface Known {
  now: number;
  observed: ObservedSession;
  facts: Pick<DecisionInput, 'session' | 'usage' | 'replay'>;
}

/** Rejects when the store does not answer: nothing is decided on facts that are not there. */
export async function observe(
  call: ToolCall,
  callName: string,
  tool: Tool,
  facts: FactsPort,
  sessions: SessionManager,
  clock: Clock,
): Promise<Known> {
  const { scope, rpcId } = call;
  const asked = performance.now();
  const counted = await facts.observe({
    call: callName,
    owner: scope.client.ref,
    network: scope.network,
    rpc: scope.handle === null ? null : { handle: scope.handle, id: rpcId },
    backend: tool.backend,
  });
  const key = { backend: tool.backend, owner: scope.client.ref };
  const observed = await sessions.examine(key, counted.storedSession, asked);
  const { record } = observed;
  const now = clock.now();
  const session =
    record && counted.session
      ? {
          id: record.fingerprint,
          generation: record.generation,
          token_age_seconds: wholeSeconds(now - record.issuedAt),
          age_seconds: wholeSeconds(now - record.createdAt),
          ...counted.session,
          bound: record.bound,
        }
      : null;
  // A proof of possession is claimed before a call gets here; a copy of it got no further.
  const replay =
    scope.client.auth.method === 'dpop' && !counted.replay.seen
      ? ({ source: 'dpop_jti', seen: false, first_seen_seconds: null, same_network: null } as const)
      : counted.replay;
  return { now, observed, facts: { session, usage: counted.usage, replay } };
}
