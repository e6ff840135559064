// The only home of @open-policy-agent/opa-wasm. Evaluates one compiled policy, synchronously and in process, and
// turns everything the module can do wrong into a refusal: it throws strings and plain objects, it answers
// `[]` for an undefined result, and after a throw an instance may be unusable.
import { createRequire } from 'node:module';
import { messageOf, OperatorError } from '../core/errors.ts';
import { ENTRYPOINT, ENTRYPOINTS, type Manifest, VISIBLE } from './manifest.ts';
import type { RefusalCode } from './refusal-codes.ts';
import {
  type DecisionInput,
  decisionSchema,
  type ListingInput,
  obligationSchema,
  type PolicyDecision,
  visibleSchema,
} from './schema.ts';

// The ES module build of opa-wasm 1.10.0 exports only `loadPolicy`; the CommonJS build also has `loadPolicySync`.
const { loadPolicySync } = createRequire(import.meta.url)(
  '@open-policy-agent/opa-wasm',
) as typeof import('@open-policy-agent/opa-wasm');

/**
 * Memory of an instance in pages of 64 KiB; the maximum is 16 MiB. Without a maximum, one bad rule could grow
 * memory for minutes and block the event loop.
 */
const MEMORY = { initial: 8, maximum: 256 };
const OBLIGATIONS: ReadonlySet<string> = new Set(obligationSchema.options.map(({ shape }) => shape.type.value));

/**
 * The decision of the policy, or why there is no usable one. `detail` is for the audit log, never for a client.
 */
export type Evaluation =
  | { ok: true; decision: PolicyDecision; nanoseconds: number }
  | { ok: false; code: RefusalCode; detail: string; nanoseconds: number };

/** The names of the tools that a client may see, or why the policy gave no usable answer. */
export type Visibility = { ok: true; names: ReadonlySet<string> } | { ok: false; code: RefusalCode; detail: string };

/** Asks the policy. Without I/O, clock or randomness, so the same input always gives the same decision. */
export interface Evaluator {
  /** Decides one call. Never throws. */
  evaluate(input: DecisionInput): Evaluation;
  /** Answers which of the listed tools a client may see. Never throws. */
  visible(input: ListingInput): Visibility;
}

/** The policy to evaluate. */
export interface EvaluatorOptions {
  module: WebAssembly.Module;
  /** Base data of the policy: `{ settings }`. */
  data: object;
  /**
   * The longest evaluation that is accepted, in milliseconds. An answer that comes later is discarded and the
   * call refused.
   */
  budgetMs: number;
  /** Which reasons may let a call pass; left out, every reason but that of the default. */
  backing?: Backing;
}

/**
 * Which reason codes let a call pass: with `allow`, one of `allows` must be there; with `rotate`, all must be `known`. A
 * module that answers "allow" to everything is not believed.
 */
export interface Backing {
  allows(code: string): boolean;
  known(code: string): boolean;
}

const NO_RULE = 'access.no_rule';
const NOT_THE_DEFAULT: Backing = { allows: (code) => code !== NO_RULE, known: (code) => code !== NO_RULE };

/** What the manifest says of the reasons. One from before it said which allow names only those that there are. */
export function backing({ reasons }: Pick<Manifest, 'reasons'>): Backing {
  const known = (code: string) => code !== NO_RULE && Object.hasOwn(reasons, code);
  const marked = Object.values(reasons).some(({ allows }) => allows);
  return { known, allows: marked ? (code) => known(code) && reasons[code]?.allows === true : known };
}

/**
 * Creates the evaluator. The policy is instantiated at once, so that one that cannot load is found before any
 * call; it throws then.
 */
export function createEvaluator({ module, data, budgetMs, backing = NOT_THE_DEFAULT }: EvaluatorOptions): Evaluator {
  const instantiate = () => {
    const policy = loadPolicySync(module, { ...MEMORY });
    policy.setData(data);
    return policy;
  };
  let policy: ReturnType<typeof instantiate> | undefined;
  try {
    policy = instantiate();
  } catch (thrown) {
    throw new OperatorError(`the WebAssembly is no policy that OPA compiled: ${messageOf(thrown)}`);
  }
  for (const name of ENTRYPOINTS)
    if (!(name in policy.entrypoints)) throw new OperatorError(`the compiled policy has no entrypoint ${name}`);

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
      const unbacked = unbackedBy(parsed.data, backing);
      if (unbacked !== undefined) return { ok: false, code: 'decision.malformed', detail: unbacked, nanoseconds };
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

/** Why a decision to let the call pass is not believed. */
function unbackedBy({ outcome, reasons }: PolicyDecision, { allows, known }: Backing): string | undefined {
  if (outcome === 'allow' && !reasons.some(({ code }) => allows(code))) return 'allow without a reason that allows';
  if (outcome === 'rotate' && !reasons.every(({ code }) => known(code)))
    return 'rotate with a reason that no rule gives';
  return undefined;
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
