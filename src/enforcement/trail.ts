// The audit trail of one call: exactly one decision record before any effect and one outcome record
// after it, whatever happens between.
import { randomUUID } from 'node:crypto';
import type { AuditLog } from '../audit/log.ts';
import { loggedInput } from '../audit/logged-input.ts';
import type { CallEnd, CallEndRecord } from '../audit/records.ts';
import type { Clock } from '../core/clock.ts';
import type { Evaluation } from '../decision/evaluator.ts';
import { ENTRYPOINT } from '../decision/manifest.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { DecisionInput, PolicyDecision } from '../decision/schema.ts';
import type { SessionRecord } from '../session/record.ts';
import type { Tool, ToolCall } from './call.ts';

export interface PolicyIdentity {
  readonly revision: string;
  readonly wasmSha256: string;
}

export interface Trail {
  readonly decisionId: string;
  /** Writes the decision record. Rejects when it is not durable. */
  decided(tool: Tool, input: DecisionInput, evaluation: Evaluation): Promise<PolicyDecision | undefined>;
  /** Writes the decision record of a call that no policy was asked about. */
  refused(code: RefusalCode, detail: string): Promise<void>;
  alert(severity: 'low' | 'medium' | 'high', reasons: readonly string[]): Promise<void>;
  used(session: SessionRecord): void;
  answered(status: number | null): void;
  finished(end: CallEnd, reasons: readonly string[], detail?: string): void;
}

export function createTrail(call: ToolCall, audit: AuditLog, policy: PolicyIdentity, clock: Clock): Trail {
  const decisionId = randomUUID();
  const started = performance.now();
  const { scope } = call;
  const client = { id: scope.client.id, subject: scope.client.subject, issuer: scope.client.issuer };
  let session: CallEndRecord['session'] = null;
  let backend: CallEndRecord['backend'] = null;
  let backendName: string | undefined;

  const common = () => ({
    timestamp: new Date(clock.now()).toISOString(),
    decision_id: decisionId,
    req_id: scope.requestId,
  });
  const decision = () => ({
    type: 'decision' as const,
    ...common(),
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
    decisionId,

    async decided(tool, input, evaluation) {
      backendName = tool.backend;
      const result = evaluation.ok ? evaluation.decision : refusal(evaluation.code);
      await audit.decided({
        ...decision(),
        decided_by: evaluation.ok ? 'policy' : 'connector',
        tool: { name: tool.name, backend: tool.backend },
        ...loggedInput(input, tool.audit),
        result,
        metrics: { timer_rego_query_eval_ns: evaluation.nanoseconds },
        ...(!evaluation.ok && { detail: evaluation.detail }),
      });
      return evaluation.ok ? evaluation.decision : undefined;
    },

    refused: (code, detail) =>
      audit.decided({
        ...decision(),
        decided_by: 'connector',
        // Perhaps the caller's own text: a name that is no tool's.
        tool: { name: call.name.slice(0, 128), backend: null },
        input: null,
        erased: [''],
        result: refusal(code),
        metrics: { timer_rego_query_eval_ns: 0 },
        detail,
      }),

    alert: (severity, reasons) =>
      audit.alert({
        type: 'alert',
        ...common(),
        requested_by: scope.ip,
        severity,
        reasons: [...reasons],
        client,
      }),

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
        ...(detail !== undefined && { detail }),
      });
    },
  };
}
