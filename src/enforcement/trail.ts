// The audit trail of one call: one decision record before any effect, and one record of how the call ended after
// it.
import { randomUUID } from 'node:crypto';
import type { AuditLog } from '../audit/log.ts';
import { loggedDecision, loggedReason, type ParameterSources } from '../audit/logged-reasons.ts';
import type { CallEnd, CallEndRecord } from '../audit/records.ts';
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
  /** Notes the session that the call uses, for the record of its end. */
  used(session: SessionRecord): void;
  /** Notes one answer of the backend. Each one counts as an attempt. */
  answered(status: number | null): void;
  finished(end: CallEnd, reasons: readonly string[], detail?: string): void;
}

/** Starts the trail of a call: mints its decision id and starts to measure its duration. */
export function createTrail(call: ToolCall, audit: AuditLog, policy: PolicyIdentity, clock: Clock): Trail {
  let decisionId = randomUUID();
  let superseded: string | undefined;
  const alerted = new Set<string>();
  const started = performance.now();
  const { scope } = call;
  const client = { id: scope.client.id, subject: scope.client.subject, issuer: scope.client.issuer };
  let session: CallEndRecord['session'] = null;
  let backend: CallEndRecord['backend'] = null;
  let backendName: string | undefined;
  let results: Pick<CallEndRecord, 'masks_absent' | 'items_cut' | 'limits_absent'> = {};

  const common = () => ({
    timestamp: new Date(clock.now()).toISOString(),
    decision_id: decisionId,
    req_id: scope.requestId,
  });
  const decision = () => ({
    type: 'decision' as const,
    ...common(),
    ...(superseded !== undefined && { supersedes: superseded }),
    path: ENTRYPOINT,
    bundles: { sallyport: { revision: policy.revision } },
    wasm_sha256: policy.wasmSha256,
    requested_by: scope.ip,
    client,
  });
  const refusal = (code: RefusalCode) => ({
    outcome: 'deny' as const,
    reasons: [{ code, params: {} }],
    obligations: [] as [],
  });

  return {
    get decisionId() {
      return decisionId;
    },
    supersede() {
      superseded = decisionId;
      decisionId = randomUUID();
    },

    async decided(tool, input, evaluation) {
      backendName = tool.backend;
      const { result, erased } = evaluation.ok
        ? loggedDecision(evaluation.decision, policy.parameterSources, tool.audit)
        : { result: refusal(evaluation.code), erased: [] };
      await audit.decided({
        ...decision(),
        decided_by: evaluation.ok ? 'policy' : 'connector',
        tool: { name: tool.name, backend: tool.backend },
        input: input.logged,
        erased: input.erased,
        result,
        ...(erased.length > 0 && { result_erased: erased }),
        metrics: { timer_rego_query_eval_ns: evaluation.nanoseconds },
        ...(!evaluation.ok && { detail: evaluation.detail }),
      });
      return evaluation.ok ? evaluation.decision : undefined;
    },

    refused: (code, detail) =>
      audit.decided({
        ...decision(),
        decided_by: 'connector',
        // The name may be any text the client has chosen, because no tool may have it.
        tool: { name: call.name.slice(0, 128), backend: null },
        input: null,
        erased: [''],
        result: refusal(code),
        metrics: { timer_rego_query_eval_ns: 0 },
        detail,
      }),

    async alert({ severity, reason, codes, tool, session: about }) {
      const kept = reason && loggedReason(reason, policy.parameterSources, tool.audit).reason;
      const reasons = kept ? [kept.code] : codes;
      // A call that is decided twice says the same once.
      const what = `${severity} ${reasons.join(' ')} ${canonicalJson(kept?.params)}`;
      if (alerted.has(what)) return;
      await audit.alert({
        type: 'alert',
        ...common(),
        requested_by: scope.ip,
        severity,
        reasons: [...reasons],
        ...(kept && { params: kept.params }),
        tool: tool.name,
        backend: tool.backend,
        session: about,
        client,
      });
      alerted.add(what);
    },

    trimmed({ masksAbsent, itemsCut, limitsAbsent }) {
      results = {
        ...(masksAbsent.length > 0 && { masks_absent: masksAbsent }),
        ...(itemsCut > 0 && { items_cut: itemsCut }),
        ...(limitsAbsent.length > 0 && { limits_absent: limitsAbsent }),
      };
    },

    used(record) {
      session = { id: record.fingerprint, generation: record.generation, token: record.tokenFingerprint };
    },

    answered(status) {
      backend = { name: backendName ?? '', status, attempts: (backend?.attempts ?? 0) + 1 };
    },

    finished(end, reasons, detail) {
      void audit.finished({
        type: 'outcome',
        ...common(),
        outcome: end,
        reasons: [...reasons],
        duration_ms: Math.round((performance.now() - started) * 1000) / 1000,
        session,
        backend,
        ...results,
        ...(detail !== undefined && { detail }),
      });
    },
  };
}
