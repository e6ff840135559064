// Gathers what the decision is about: the session there is, and the facts, counted in the same step.
import type { Clock } from '../core/clock.ts';
import { wholeSeconds } from '../core/clock.ts';
import type { DecisionInput } from '../decision/schema.ts';
import type { FactsPort } from '../facts/port.ts';
import type { SessionManager, SessionSnapshot } from '../session/manager.ts';
import type { Tool, ToolCall } from './call.ts';

export interface Known {
  now: number;
  seen: SessionSnapshot;
  facts: Pick<DecisionInput, 'session' | 'usage' | 'replay'>;
}

/** Rejects when the store does not answer: nothing is decided on facts that are not there. */
export async function observe(
  call: ToolCall,
  tool: Tool,
  facts: FactsPort,
  sessions: SessionManager,
  clock: Clock,
): Promise<Known> {
  const { scope, rpcId } = call;
  const seen = await sessions.peek(tool.backend, scope.client.ref);
  const { record } = seen;
  const observed = await facts.observe({
    client: scope.client.ref,
    network: scope.network,
    rpc: scope.handle === null ? null : { handle: scope.handle, id: rpcId },
    session: record ? { id: record.id, generation: record.generation, issuedAt: record.issuedAt } : null,
  });
  const now = clock.now();
  const session =
    record && observed.session
      ? {
          id: record.fingerprint,
          generation: record.generation,
          token_age_seconds: wholeSeconds(now - record.issuedAt),
          age_seconds: wholeSeconds(now - record.createdAt),
          ...observed.session,
          bound: record.bound,
        }
      : null;
  return { now, seen, facts: { session, usage: observed.usage, replay: observed.replay } };
}
