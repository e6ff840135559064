// One decision: it is made, put on record, and what it orders besides its outcome is done. A call has one; a second one
// replaces it where the session is not the one that the first was about.
import type { Masks } from '../audit/masks.ts';
import type { BackendPort } from '../backend/port.ts';
import type { LocalTime } from '../core/zones.ts';
import type { Evaluation, Evaluator } from '../decision/evaluator.ts';
import { buildInput } from '../decision/input.ts';
import { inputText } from '../decision/input-text.ts';
import type { DecisionInput, PolicyDecision } from '../decision/schema.ts';
import type { SessionManager } from '../session/manager.ts';
import { codesOf, type Reply, type Tool, type ToolCall } from './call.ts';
import type { HeldBack } from './held-back.ts';
import { type CarriedOut, carryOut } from './obligations.ts';
import type { Known } from './observe.ts';
import { refusal } from './refusals.ts';
import type { Trail } from './trail.ts';

export interface DecideOptions {
  evaluator: Evaluator;
  sessions: Pick<SessionManager, 'revoke'>;
  /** Codes of rules that refuse a place for itself (`own_place` in METADATA). */
  ownPlaces: ReadonlySet<string>;
  /** Local time in the zones of the settings; undefined where none is set. */
  zones: (now: number) => Readonly<Record<string, LocalTime>> | undefined;
  heldBack: HeldBack;
  /** Names the rule that an evaluation of this input was in when it was cut, where that can be told. Never rejects. */
  culprit: (tool: string, text: string) => Promise<string | undefined>;
  /** What the site wants pseudonyms for in records. */
  masks: Masks;
}

/**
 * The decision in force, or the reply that ends the call. `refusedPlace`: the call was denied for the network it came
 * from, so that the client is not in use there.
 */
export type Decided =
  | { ok: true; decision: PolicyDecision; carried: CarriedOut }
  | { ok: false; reply: Reply; refusedPlace?: string | undefined };

/** Decides a call on what is known. Nothing happens before the decision is on record. */
export type Decide = (call: ToolCall, tool: Tool, backend: BackendPort, trail: Trail, known: Known) => Promise<Decided>;

export function createDecide(options: DecideOptions): Decide {
  const { evaluator, sessions, ownPlaces, zones, heldBack, culprit } = options;
  const { masking } = options.masks;

  /** Asks the policy, unless it is too likely that this client makes a rule run away again. */
  function ask(client: string, input: DecisionInput, text: string): Evaluation & { waitSeconds?: number } {
    const { name } = input.tool;
    const careful = heldBack.known(client);
    const waitSeconds = careful ? heldBack.seconds(client, name, Buffer.byteLength(text)) : 0;
    if (waitSeconds > 0) {
      const detail = `not asked: an evaluation for this client was cut, and it is held back for ${waitSeconds} s`;
      return { ok: false, code: 'decision.over_budget', detail, nanoseconds: 0, waitSeconds };
    }
    const evaluation = evaluator.evaluate(input, text, careful);
    return evaluation.ok || !evaluation.cut
      ? evaluation
      : { ...evaluation, waitSeconds: heldBack.cut(client, name, Buffer.byteLength(text)) };
  }

  /** The call does not wait until the rule is found. */
  async function tell(
    { code, cut }: Extract<Evaluation, { ok: false }>,
    tool: Tool,
    text: string,
    session: string | null,
    trail: Trail,
  ): Promise<void> {
    const rule = cut ? await culprit(tool.name, text) : undefined;
    const reason = { code, params: rule === undefined ? {} : { rule } };
    await trail.alert({ severity: 'high', reason, codes: [], tool, session });
  }
  return async (call, tool, backend, trail, known) => {
    const { scope } = call;
    const refuse = (...args: Parameters<ReturnType<typeof refusal>>): Decided => ({
      ok: false,
      reply: refusal(trail, tool)(...args),
    });
    const local = zones(known.now);
    const parts = { now: known.now, zones: local, ...scope, tool, arguments: call.arguments, ...known.facts };
    const input = buildInput(parts);
    const text = inputText(input, tool.audit, scope.client, masking);
    const evaluation = ask(scope.client.ref, input, text.text);
    // A policy that gives no decision stops everybody, and somebody has to know. Who is held back was told of before.
    if (!evaluation.ok && (evaluation.cut || evaluation.waitSeconds === undefined))
      void tell(evaluation, tool, text.text, input.session?.id ?? null, trail).catch(() => {});
    let decision: PolicyDecision | undefined;
    try {
      decision = await trail.decided(tool, text, evaluation);
    } catch {
      return refuse('audit.unavailable', 'the decision log cannot be written');
    }
    if (!decision)
      return evaluation.ok
        ? refuse('decision.error')
        : refuse(evaluation.code, evaluation.detail, { retryAfterSeconds: evaluation.waitSeconds });

    const codes = codesOf(decision.reasons);
    const carried = await carryOut(decision, {
      alert: (severity, reason) => trail.alert({ severity, reason, codes, tool, session: input.session?.id ?? null }),
      revokeSession: () =>
        sessions.revoke(backend, scope.client.ref, { text: codes.join(' '), decision: trail.decisionId }),
    });
    if (!carried.ok) return refuse('obligation.failed', carried.detail);
    if (decision.outcome !== 'deny') return { ok: true, decision, carried };
    trail.finished('denied', codes);
    const { requiredScopes } = carried;
    return {
      ok: false,
      reply: {
        ...{ kind: 'denied', reasons: codes, decisionId: trail.decisionId, requiredScopes },
        ...(codes.includes('freeze.active') && { frozen: known.facts.freeze }),
      },
      refusedPlace: codes.some((code) => ownPlaces.has(code)) ? scope.network : undefined,
    };
  };
}
