// The way of one tool call, top to bottom. No backend session is used or opened before the decision is made and
// on record. A call without a result was denied by the policy, refused by the connector, or cancelled.
import type { AuditLog } from '../audit/log/log.ts';
import { parameterSources } from '../audit/logged-reasons.ts';
import type { BackendPort } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import type { Evaluator } from '../decision/evaluator.ts';
import type { Policy } from '../decision/open.ts';
import type { CallEnding, FactsPort } from '../facts/port.ts';
import { boundTo, type Place } from '../session/bound.ts';
import type { SessionManager } from '../session/manager.ts';
import { answer } from './answer.ts';
import { type Reply, STEPS, type Tool, type ToolCall } from './call.ts';
import { createDecide, type Decided, type DecideOptions } from './decide.ts';
import { createIdsOf, type Frozen, type Known, knownAgain, observe } from './observe.ts';
import { countUndecided, refusal, refuseUndecided } from './refusals.ts';
import { createTrail, type PolicyIdentity, type Trail } from './trail.ts';
import { type Unused, type Used, useSession } from './use-session.ts';

/** The ports that the pipeline brings together. */
export interface PipelineOptions extends Pick<DecideOptions, 'heldBack' | 'culprit' | 'masks'> {
  tools: ReadonlyMap<string, Tool>;
  backends: ReadonlyMap<string, BackendPort>;
  facts: FactsPort;
  evaluator: Evaluator;
  policy: Pick<Policy, 'revision' | 'wasmSha256' | 'manifest' | 'ownPlaces' | 'zones'>;
  audit: AuditLog;
  sessions: SessionManager;
  clock: Clock;
  frozen: Frozen;
  /** Keyed, so that a handle cannot be guessed from its fingerprint. */
  fingerprint: (text: string) => string;
}

/** Decides one call and, if allowed, carries it out. Never rejects: every failure becomes a reply. */
export type Pipeline = (call: ToolCall) => Promise<Reply>;

/** Creates the pipeline. */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { tools, backends, facts, policy, audit, sessions, clock, frozen } = options;
  const identity: PolicyIdentity = { ...policy, parameterSources: parameterSources(policy.manifest.reasons) };
  const idsOf = createIdsOf(options.fingerprint);
  const records = { audit, policy: identity, clock, masks: options.masks, idsOf };
  const decide = createDecide({ ...options, ...policy });

  /** Decides one call and carries it out. `trail` puts the decision on record before anything happens. */
  async function enforce(call: ToolCall, tool: Tool, backend: BackendPort, trail: Trail): Promise<Reply> {
    const { client } = call.scope;
    const name = trail.decisionId;
    let ending: CallEnding = { denied: true };
    try {
      const observed = await observe(call, name, tool, facts, sessions, clock, idsOf, frozen).catch(() => undefined);
      if (!observed) return await refuseUndecided(trail, 'facts.unavailable', 'the store did not answer');
      let known = observed;
      for (let again = true; ; again = false) {
        const decided = await decide(call, tool, backend, trail, known);
        ending = decided.ok ? { denied: false, used: tool.name } : { denied: true, refusedPlace: decided.refusedPlace };
        if (!decided.ok) return decided.reply;
        if (again) call.progress(1, STEPS, 'decided');
        const result = await use(call, tool, backend, trail, known, decided);
        const other =
          again && !result.ok && result.code === 'session.changed' && mayGoOn(tool, result)
            ? await changed(call, tool, known)
            : undefined;
        if (!other) return answer(call, tool, trail, decided, result);
        known = other;
        trail.supersede();
      }
    } finally {
      // The call does not wait for this: only the end of the call is left to be counted.
      void facts.finished(client.ref, name, ending).catch(() => {});
    }
  }

  /** The second door: the session of the decision, and the backend. */
  async function use(
    call: ToolCall,
    tool: Tool,
    backend: BackendPort,
    trail: Trail,
    { observed }: Known,
    { decision, carried }: Extract<Decided, { ok: true }>,
  ): Promise<Used> {
    const { client } = call.scope;
    const account = backend.account(client);
    const detail = 'no credentials for this client; see "accounts" of the backend';
    if (!account) return { ok: false, code: 'backend.no_account', detail, status: null, outcome: 'not_sent' };
    const request = {
      backend,
      owner: client.ref,
      issuer: client.issuer,
      bound: boundTo(placeOf(call), observed.record?.bound),
      account,
      limit: carried.sessionLimit,
      decision: trail.decisionId,
    };
    const result = await sessions.inTurn(request, () =>
      useSession({ call, tool, request, decision, observed, sessions, trail }),
    );
    return 'status' in result || result.ok ? result : { ...result, status: null, outcome: 'not_sent' };
  }

  /**
   * What the call is decided on once more, when another call has opened or rotated the session for another place since
   * it was observed. Undefined where it may not go on: after a revocation nothing is brought back.
   */
  async function changed(call: ToolCall, tool: Tool, known: Known): Promise<Known | undefined> {
    const key = { backend: tool.backend, owner: call.scope.client.ref };
    const observed = await sessions.look(key).catch(() => undefined);
    return observed?.record && observed.revocations === known.observed.revocations
      ? knownAgain(known, observed)
      : undefined;
  }

  return async (call) => {
    const trail = createTrail(call, records);
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
      // Whatever went wrong here, the backend may have done what it was asked.
      return refusal(trail, tool)('internal.error', 'fault', { outcome: trail.wasAsked ? 'sent_unknown' : 'not_sent' });
    }
  };
}

/** What may have been done is not decided again, and not told as if nothing had been sent. */
const mayGoOn = ({ effect }: Tool, { outcome }: Unused): boolean =>
  effect === 'read' || outcome === 'not_sent' || outcome === 'rejected';

function placeOf({ scope }: ToolCall): Place {
  const { client, ip, network } = scope;
  return { client_id: client.id, subject: client.subject, key: client.auth.key, ip, network };
}
