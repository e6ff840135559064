// The only home of @open-policy-agent/opa-wasm. Evaluates one compiled policy, synchronously and in
// process, and turns everything the module can do wrong into a refusal: it throws strings and
// plain objects, answers `[]` for undefined, and an instance that has thrown may be dead.
import { createRequire } from 'node:module';
import { messageOf } from '../core/errors.ts';
import { ENTRYPOINT, ENTRYPOINTS, VISIBLE } from './manifest.ts';
import type { RefusalCode } from './refusal-codes.ts';
import {
  type DecisionInput,
  decisionSchema,
  type ListingInput,
  obligationSchema,
  type PolicyDecision,
  visibleSchema,
} from './schema.ts';

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

/** Names of the tools a client is shown, or why the policy could not be asked. */
export type Visibility = { ok: true; names: ReadonlySet<string> } | { ok: false; code: RefusalCode; detail: string };

export interface Evaluator {
  /** Never throws. `detail` is for the audit log, never for a client. */
  evaluate(input: DecisionInput): Evaluation;
  /** The same for a list of tools. */
  visible(input: ListingInput): Visibility;
}

export interface EvaluatorOptions {
  module: WebAssembly.Module;
  /** Base data of the policy: `{ settings }`. */
  data: object;
  /** Longest evaluation that still counts, in milliseconds. A later answer is refused. */
  budgetMs: number;
}

/** Instantiates the policy once, at start, so that a policy that cannot load is found before any call. */
export function createEvaluator({ module, data, budgetMs }: EvaluatorOptions): Evaluator {
  const instantiate = () => {
    const policy = loadPolicySync(module, { ...MEMORY });
    policy.setData(data);
    return policy;
  };
  let policy: ReturnType<typeof instantiate> | undefined = instantiate();
  for (const name of ENTRYPOINTS)
    if (!(name in policy.entrypoints)) throw new Error(`the compiled policy has no entrypoint ${name}`);

  type Asked =
    | { ok: true; result: unknown; nanoseconds: number }
    | { ok: false; code: RefusalCode; detail: string; nanoseconds: number };

  function ask(input: DecisionInput | ListingInput, entrypoint: string): Asked {
    const started = process.hrtime.bigint();
    let results: unknown;
    try {
      policy ??= instantiate();
      results = policy.evaluate(input, entrypoint);
    } catch (thrown) {
      policy = undefined;
      const nanoseconds = Number(process.hrtime.bigint() - started);
      return { ok: false, code: 'decision.error', detail: messageOf(thrown), nanoseconds };
    }
    const nanoseconds = Number(process.hrtime.bigint() - started);
    if (nanoseconds > budgetMs * 1e6)
      return { ok: false, code: 'decision.over_budget', detail: `${Math.round(nanoseconds / 1e6)} ms`, nanoseconds };
    if (!Array.isArray(results) || results.length === 0)
      return { ok: false, code: 'decision.undefined', detail: 'empty result set', nanoseconds };
    return { ok: true, result: results.length === 1 ? results[0]?.result : undefined, nanoseconds };
  }

  return {
    evaluate(input) {
      const asked = ask(input, ENTRYPOINT);
      if (!asked.ok) return asked;
      const { result, nanoseconds } = asked;
      const unknown = unknownObligation(result);
      if (unknown !== undefined)
        return { ok: false, code: 'decision.unknown_obligation', detail: unknown, nanoseconds };
      const parsed = decisionSchema.safeParse(result);
      if (!parsed.success)
        return { ok: false, code: 'decision.malformed', detail: describe(parsed.error.issues), nanoseconds };
      return { ok: true, decision: parsed.data, nanoseconds };
    },

    visible(input) {
      const asked = ask(input, VISIBLE);
      if (!asked.ok) return asked;
      const parsed = visibleSchema.safeParse(asked.result);
      return parsed.success
        ? { ok: true, names: new Set(parsed.data) }
        : { ok: false, code: 'decision.malformed', detail: describe(parsed.error.issues) };
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
