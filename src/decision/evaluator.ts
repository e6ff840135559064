// The only home of @open-policy-agent/opa-wasm. Evaluates one compiled policy, synchronously and in
// process, and turns everything the module can do wrong into a refusal: it throws strings and
// plain objects, answers `[]` for undefined, and an instance that has thrown may be dead.
import { createRequire } from 'node:module';
import { messageOf } from '../core/errors.ts';
import type { RefusalCode } from './refusal-codes.ts';
import { type DecisionInput, decisionSchema, obligationSchema, type PolicyDecision } from './schema.ts';

// The ES module build of 1.10.0 names loadPolicy only.
const { loadPolicySync } = createRequire(import.meta.url)(
  '@open-policy-agent/opa-wasm',
) as typeof import('@open-policy-agent/opa-wasm');

/** Without a maximum one bad rule can grow memory for minutes and block the event loop. 16 MiB. */
const MEMORY = { initial: 8, maximum: 256 };
const OBLIGATIONS: ReadonlySet<string> = new Set(obligationSchema.options.map(({ shape }) => shape.type.value));

export type Evaluation =
  | { ok: true; decision: PolicyDecision; nanoseconds: number }
  | { ok: false; code: RefusalCode; detail: string; nanoseconds: number };

export interface Evaluator {
  /** Never throws. `detail` is for the audit log, never for a client. */
  evaluate(input: DecisionInput): Evaluation;
}

export interface EvaluatorOptions {
  module: WebAssembly.Module;
  /** Base data of the policy: `{ settings }`. */
  data: object;
  entrypoint: string;
  /** Longest evaluation that still counts, in milliseconds. A later answer is refused. */
  budgetMs: number;
}

/** Instantiates the policy once, at start, so that a policy that cannot load is found before any call. */
export function createEvaluator({ module, data, entrypoint, budgetMs }: EvaluatorOptions): Evaluator {
  const instantiate = () => {
    const policy = loadPolicySync(module, { ...MEMORY });
    policy.setData(data);
    return policy;
  };
  let policy: ReturnType<typeof instantiate> | undefined = instantiate();
  if (!(entrypoint in policy.entrypoints)) throw new Error(`the compiled policy has no entrypoint ${entrypoint}`);

  return {
    evaluate(input) {
      const started = process.hrtime.bigint();
      const elapsed = () => Number(process.hrtime.bigint() - started);
      const refuse = (code: RefusalCode, detail: string): Evaluation => ({
        ok: false,
        code,
        detail,
        nanoseconds: elapsed(),
      });
      let results: unknown;
      try {
        policy ??= instantiate();
        results = policy.evaluate(input, entrypoint);
      } catch (thrown) {
        policy = undefined;
        return refuse('decision.error', messageOf(thrown));
      }
      const nanoseconds = elapsed();
      if (nanoseconds > budgetMs * 1e6) return refuse('decision.over_budget', `${Math.round(nanoseconds / 1e6)} ms`);
      if (!Array.isArray(results) || results.length === 0) return refuse('decision.undefined', 'empty result set');
      const result: unknown = results.length === 1 ? results[0]?.result : undefined;
      const unknown = unknownObligation(result);
      if (unknown !== undefined) return refuse('decision.unknown_obligation', unknown);
      const parsed = decisionSchema.safeParse(result);
      if (!parsed.success) return refuse('decision.malformed', describe(parsed.error.issues));
      return { ok: true, decision: parsed.data, nanoseconds };
    },
  };
}

function unknownObligation(result: unknown): string | undefined {
  const obligations = (result as { obligations?: unknown } | undefined)?.obligations;
  if (!Array.isArray(obligations)) return undefined;
  const unknown = obligations.find((o) => typeof o?.type === 'string' && !OBLIGATIONS.has(o.type));
  return unknown === undefined ? undefined : String(unknown.type).slice(0, 80);
}

function describe(issues: readonly { path: PropertyKey[]; message: string }[]): string {
  return issues
    .map((i) => `${i.path.map(String).join('.') || 'result'}: ${i.message}`)
    .join('; ')
    .slice(0, 500);
}
