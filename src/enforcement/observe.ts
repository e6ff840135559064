// Gathers the facts for a decision: one round trip to the store counts the call and reads the session and the
// history.

import { BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import { wholeSeconds } from '../core/clock.ts';
import type { DecisionInput } from '../decision/schema.ts';
import type { Facts, FactsPort, RpcId } from '../facts/port.ts';
import type { FreezeFact } from '../freeze/freeze.ts';
import type { Client } from '../identity/client.ts';
import type { ObservedSession, SessionManager } from '../session/manager.ts';
import { sameLogin } from '../session/pending.ts';
import type { Tool, ToolCall } from './call.ts';

/** What is known about a call when it is decided. `now` is in milliseconds since 1970. */
export interface Known {
  now: number;
  /** The same instant by the clock that the replicas share. */
  shared: number;
  observed: ObservedSession;
  facts: Pick<DecisionInput, 'session' | 'usage' | 'replay' | 'freeze'>;
}

/** Names a call by its handle and JSON-RPC id, so that a copy names its original. */
export type IdsOf = (handle: string, rpcId: RpcId) => { handle: string; rpc_id: RpcId };

/**
 * What is frozen and means this client and tool; without a tool, what may mean one of a list. Rejects when it cannot be
 * known: then nothing is decided (R-73).
 */
export type Frozen = (client: Client, tool?: { name: string; backend: string }) => Promise<FreezeFact[] | undefined>;

/** Handles whose fingerprint is remembered. */
const HANDLES = 10_000;
/** A longer id is named by its hash. */
const LONGEST_ID = 128;

/** The handle itself never reaches a policy or a record: its keyed fingerprint stands for it. */
export function createIdsOf(fingerprint: (text: string) => string): IdsOf {
  const known = new BoundedCache<string, string>(HANDLES);
  return (handle, rpcId) => {
    const name = known.get(handle) ?? fingerprint(`handle ${handle}`);
    if (!known.has(handle)) known.set(handle, name);
    const long = typeof rpcId === 'string' && rpcId.length > LONGEST_ID;
    return { handle: name, rpc_id: long ? `hash:${fingerprint(`rpc id ${rpcId}`)}` : rpcId };
  };
}

/**
 * Counts the call and collects the facts. Rejects when the store does not answer: no decision is made on missing
 * facts (R-29). A session that has been revoked is ended here and does not count as one.
 */
export async function observe(
  call: ToolCall,
  callName: string,
  tool: Tool,
  facts: FactsPort,
  sessions: SessionManager,
  clock: Clock,
  idsOf: IdsOf,
  frozen: Frozen,
): Promise<Known> {
  const { scope, rpcId } = call;
  // Taken before the store is asked, so that its answer is never taken for fresher than it is.
  const asked = performance.now();
  const counted = await facts.observe({
    call: callName,
    owner: scope.client.ref,
    network: scope.network,
    rpc: scope.handle === null ? null : { handle: scope.handle, id: rpcId },
    backend: tool.backend,
    tool: tool.name,
  });
  const key = { backend: tool.backend, owner: scope.client.ref };
  const observed = await sessions.examine(key, counted.storedSession, asked);
  const freeze = await frozen(scope.client, tool);
  const now = clock.now();
  const session = sessionFacts(observed, counted.now, counted.session);
  // The use of a DPoP proof was recorded before the call came here, and a copy of the proof was not accepted
  // (R-08). So the call is not a replay, unless its JSON-RPC id was used before.
  const replay =
    scope.client.auth.method === 'dpop' && (!counted.replay.seen || untold(counted.replay))
      ? ({ source: 'dpop_jti', seen: false, first_seen_seconds: null, same_network: null, history: null } as const)
      : counted.replay;
  const forgotten = counted.usage.forgotten || observed.forgotten === true;
  const usage = { ...counted.usage, forgotten };
  const named = { ...replay, ...(scope.handle !== null && idsOf(scope.handle, rpcId)) };
  return { now, shared: counted.now, observed, facts: { session, usage, replay: named, freeze } };
}

/**
 * What a call that is decided once more is decided on: the session as it is now, and everything else as it was counted
 * (R-35). Of a new login nothing is counted yet but the login itself, which is its first use; a renewal of the login that
 * was observed changes nothing of what was counted (R-80).
 */
export function knownAgain(before: Known, observed: ObservedSession): Known {
  const { shared } = before;
  const { record } = observed;
  const counted = before.facts.session;
  const same = counted && record && before.observed.record && sameLogin(record, before.observed.record);
  const { idle_seconds, token_uses } = same
    ? counted
    : { idle_seconds: record ? wholeSeconds(shared - record.issuedAt) : 0, token_uses: 1 };
  const session = sessionFacts(observed, shared, { idle_seconds, token_uses });
  return { ...before, observed, facts: { ...before.facts, session } };
}

/** The session as a decision sees it. Ages of what replicas share are counted by the clock that they share (R-83). */
function sessionFacts({ record }: ObservedSession, shared: number, used: Facts['session']): DecisionInput['session'] {
  if (!record || !used) return null;
  return {
    id: record.fingerprint,
    generation: record.generation,
    token_age_seconds: wholeSeconds(shared - record.issuedAt),
    age_seconds: wholeSeconds(shared - record.createdAt),
    ...used,
    bound: record.bound,
  };
}

/** Whether the id counts as used only because the history of the conversation was lost. */
const untold = ({ history, first_seen_seconds }: DecisionInput['replay']): boolean =>
  history === 'lost' && first_seen_seconds === null;
