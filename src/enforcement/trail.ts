// The audit trail of one call: one decision record before any effect, and one record of how the call ended after
// it.
import { randomUUID } from 'node:crypto';
import { createErasure, type Erasure } from '../audit/erasure.ts';
import type { AuditLog } from '../audit/log/log.ts';
import { type Logging, loggedDecision, loggedReason, type ParameterSources } from '../audit/logged-reasons.ts';
import type { Masks } from '../audit/masks.ts';
import type { CallEnd, CallEndRecord, ClientFields, DecisionHead } from '../audit/records.ts';
import type { Clock } from '../core/clock.ts';
import type { Evaluation } from '../decision/evaluator.ts';
import type { InputText } from '../decision/input-text.ts';
import { ENTRYPOINT } from '../decision/manifest.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { PolicyDecision, Reason } from '../decision/schema.ts';
import { canonicalJson } from '../formats/json.ts';
import type { SessionRecord } from '../session/record.ts';
import type { Tool, ToolCall } from './call.ts';
import type { Trimmed } from './mask.ts';
import type { IdsOf } from './observe.ts';

/** Names the policy in the records: its revision, and the SHA-256 of its WebAssembly in hex. */
export interface PolicyIdentity {
  readonly revision: string;
  readonly wasmSha256: string;
  /** Which parameters of its reasons come from arguments, so that they may not be on record unasked. */
  readonly parameterSources: ParameterSources;
}

/** An alert about a call. `reason` is that of the finding that raised it; else the codes of the decision are named. */
export interface CallAlert {
  severity: 'low' | 'medium' | 'high';
  reason: Reason | undefined;
  codes: readonly string[];
  tool: Tool;
  session: string | null;
}

/** Collects what happens to one call and writes its records. */
export interface Trail {
  readonly decisionId: string;
  /** The next decision record replaces the one before: it says which, and the call goes on under its id. */
  supersede(): void;
  /**
   * Writes the decision record, and answers the decision, or undefined when the policy gave no usable one.
   * Rejects when the record is not durable; the call must then have no effect.
   */
  decided(tool: Tool, input: InputText, evaluation: Evaluation): Promise<PolicyDecision | undefined>;
  /** Writes the decision record of a call about which no policy was asked. Rejects when it is not durable. */
  refused(code: RefusalCode, detail: string): Promise<void>;
  /** Writes an alert about this call. Rejects when it is not durable. */
  alert(alert: CallAlert): Promise<void>;
  /** Notes what masks and limits met in the result, for the record of its end. */
  trimmed(what: Pick<Trimmed, 'masksAbsent' | 'itemsCut' | 'limitsAbsent'>): void;
  /** Notes the session that the call uses, for the record of its end. `opened`: the decision had seen no such login. */
  used(session: SessionRecord, opened: boolean): void;
  /** Notes what the client gets. */
  given(what: NonNullable<CallEndRecord['given']>): void;
  /** Notes that the backend is about to be asked. */
  asked(): void;
  readonly wasAsked: boolean;
  /** Notes one answer of the backend. Each one counts as an attempt. */
  answered(status: number | null): void;
  finished(end: CallEnd, reasons: readonly string[], more?: EndDetails): void;
}

/** What the record of a call's end says of a call that has no result. */
export interface EndDetails {
  detail?: string | undefined;
  request?: CallEndRecord['request'];
  said?: string | undefined;
}

/** What the log of a connector is written with: the same for all calls. */
export interface TrailOptions {
  audit: AuditLog;
  policy: PolicyIdentity;
  clock: Clock;
  masks: Masks;
  idsOf: IdsOf;
}

/** Starts the trail of a call: mints its decision id and starts to measure its duration. */
export const createTrail = (call: ToolCall, options: TrailOptions): Trail => new CallTrail(call, options);

/** A class: a literal of closures for every call would take several times the memory. */
class CallTrail implements Trail {
  decisionId = randomUUID() as string;
  wasAsked = false;
  readonly #call: ToolCall;
  readonly #options: TrailOptions;
  readonly #client: ClientFields;
  readonly #started = performance.now();
  #superseded: string | undefined;
  #alerted: readonly string[] = [];
  #session: CallEndRecord['session'] = null;
  #backend: CallEndRecord['backend'] = null;
  #backendName = '';
  #results: Pick<CallEndRecord, 'masks_absent' | 'items_cut' | 'limits_absent'> = {};
  #given: CallEndRecord['given'];
  /** What may stand in the records: nothing of the arguments until the tool is known. */
  #audited: readonly string[] = [];
  readonly #erasure: Erasure;

  constructor(call: ToolCall, options: TrailOptions) {
    this.#call = call;
    this.#options = options;
    const { id, subject, issuer } = call.scope.client;
    this.#client = { id, subject: options.masks.subject(subject), issuer };
    const { pseudonyms, looksHidden } = options.masks;
    this.#erasure = createErasure(() => this.#hidden(), pseudonyms, looksHidden);
  }

  /** What stands in none of the records of this call. */
  #hidden(): readonly unknown[] {
    const { arguments: given, scope } = this.#call;
    const left = Object.entries(given).filter(([name]) => !this.#audited.includes(name));
    return [...left.map(([, value]) => value), ...this.#options.masks.hidden(scope)];
  }

  supersede(): void {
    this.#superseded = this.decisionId;
    this.decisionId = randomUUID();
  }

  async decided(tool: Tool, input: InputText, evaluation: Evaluation): Promise<PolicyDecision | undefined> {
    const { audit } = this.#options;
    this.#backendName = tool.backend;
    const { result, erased, masked } = evaluation.ok
      ? loggedDecision(evaluation.decision, this.#logging(tool))
      : { result: denial(evaluation.code), erased: [], masked: [] };
    const own: Own = {
      decided_by: evaluation.ok ? 'policy' : 'connector',
      tool: { name: tool.name, backend: tool.backend },
      erased: erased.length > 0 ? [...input.erased, ...erased] : input.erased,
      masked: masked.length + input.masked.length > 0 ? [...input.masked, ...masked] : undefined,
      replayable: input.erased.length + input.masked.length === 0,
      detail: evaluation.ok ? undefined : this.#erasure.text(evaluation.detail),
    };
    await audit.decided(this.#head(own, evaluation.nanoseconds), { input: input.logged, result });
    return evaluation.ok ? evaluation.decision : undefined;
  }

  refused(code: RefusalCode, detail: string): Promise<void> {
    // The name may be any text the client has chosen, because no tool may have it.
    const tool = { name: this.#erasure.text(this.#call.name).slice(0, 128), backend: null };
    const told = this.#erasure.text(detail);
    const own: Own = { ...NOTHING_DECIDED, tool, detail: told };
    return this.#options.audit.decided(this.#head(own, 0), { input: null, result: denial(code) });
  }

  async alert({ severity, reason, codes, tool, session }: CallAlert): Promise<void> {
    const { audit } = this.#options;
    const kept = reason && loggedReason(reason, this.#logging(tool)).reason;
    const reasons = kept ? [kept.code] : [...codes];
    // A call that is decided twice says the same once.
    const what = `${severity} ${reasons.join(' ')} ${canonicalJson(kept?.params)}`;
    if (this.#alerted.includes(what)) return;
    await audit.alert({
      type: 'alert',
      timestamp: this.#now(),
      decision_id: this.decisionId,
      req_id: this.#call.scope.requestId,
      requested_by: this.#options.masks.address(this.#call.scope.ip),
      severity,
      reasons,
      ...(kept && { params: kept.params }),
      ...this.#policyNamed(),
      tool: tool.name,
      backend: tool.backend,
      session,
      client: this.#client,
    });
    this.#alerted = [...this.#alerted, what];
  }

  trimmed({ masksAbsent, itemsCut, limitsAbsent }: Pick<Trimmed, 'masksAbsent' | 'itemsCut' | 'limitsAbsent'>): void {
    this.#results = {
      masks_absent: masksAbsent.length > 0 ? masksAbsent.map((pointer) => this.#erasure.text(pointer)) : undefined,
      items_cut: itemsCut > 0 ? itemsCut : undefined,
      limits_absent: limitsAbsent.length > 0 ? limitsAbsent.map((pointer) => this.#erasure.text(pointer)) : undefined,
    };
  }

  used({ fingerprint, generation, tokenFingerprint }: SessionRecord, opened: boolean): void {
    this.#session = { id: fingerprint, generation, token: tokenFingerprint, opened };
  }

  given({ masked, ...rest }: NonNullable<CallEndRecord['given']>): void {
    this.#given = { ...rest, masked: masked.map((pointer) => this.#erasure.text(pointer)) };
  }

  asked(): void {
    this.wasAsked = true;
  }

  answered(status: number | null): void {
    this.#backend = { name: this.#backendName, status, attempts: (this.#backend?.attempts ?? 0) + 1 };
  }

  finished(end: CallEnd, reasons: readonly string[], { detail, request, said }: EndDetails = {}): void {
    void this.#options.audit.finished({
      type: 'outcome',
      timestamp: this.#now(),
      decision_id: this.decisionId,
      req_id: this.#call.scope.requestId,
      ...this.#policyNamed(),
      outcome: end,
      reasons: [...reasons],
      duration_ms: Math.round((performance.now() - this.#started) * 1000) / 1000,
      session: this.#session,
      backend: this.#backend,
      request,
      given: end === 'success' ? this.#given : undefined,
      masks_absent: this.#results.masks_absent,
      items_cut: this.#results.items_cut,
      limits_absent: this.#results.limits_absent,
      said: this.#mayQuote() ? said : undefined,
      detail: detail === undefined ? undefined : this.#erasure.text(detail),
    });
  }

  /** A reason of the backend may quote the arguments in any form, so it is on record where all of them may be. */
  #mayQuote(): boolean {
    return Object.keys(this.#call.arguments).every((name) => this.#audited.includes(name));
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }

  #logging({ audit }: Tool): Logging {
    this.#audited = audit;
    return { sources: this.#options.policy.parameterSources, audited: audit, erasure: this.#erasure };
  }

  #policyNamed(): Pick<DecisionHead, 'bundles' | 'wasm_sha256'> {
    const { revision, wasmSha256 } = this.#options.policy;
    return { bundles: { sallyport: { revision } }, wasm_sha256: wasmSha256 };
  }

  /** What is undefined is left out of the line. */
  #head(own: Own, nanoseconds: number): DecisionHead {
    const { policy, masks, idsOf } = this.#options;
    const { revision, wasmSha256 } = policy;
    const { scope, rpcId } = this.#call;
    const { auth } = scope.client;
    const ids = idsOf(scope.handle ?? '', rpcId);
    return {
      type: 'decision',
      timestamp: this.#now(),
      decision_id: this.decisionId,
      req_id: this.#call.scope.requestId,
      supersedes: this.#superseded,
      path: ENTRYPOINT,
      bundles: { sallyport: { revision } },
      wasm_sha256: wasmSha256,
      requested_by: masks.address(scope.ip),
      client: this.#client,
      credential: { method: auth.method, key_id: auth.keyId ?? auth.key },
      rpc_id: typeof ids.rpc_id === 'string' ? this.#erasure.text(ids.rpc_id) : ids.rpc_id,
      handle: scope.handle === null ? null : ids.handle,
      decided_by: own.decided_by,
      tool: own.tool,
      erased: own.erased,
      masked: own.masked,
      replayable: own.replayable,
      metrics: { timer_rego_query_eval_ns: nanoseconds },
      detail: own.detail,
    };
  }
}

/** What each decision record has for itself. */
type Own = Pick<DecisionHead, 'decided_by' | 'tool' | 'erased' | 'masked' | 'replayable' | 'detail'>;

/** No policy was asked, and nothing that it would have been asked with is on record. */
const NOTHING_DECIDED = {
  decided_by: 'connector' as const,
  erased: ['/input'] as string[],
  masked: undefined,
  replayable: false,
} satisfies Partial<Own>;

const denial = (code: RefusalCode) => ({
  outcome: 'deny' as const,
  reasons: [{ code, params: {} }],
  obligations: [] as [],
});
