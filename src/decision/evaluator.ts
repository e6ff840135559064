// Evaluates one compiled policy, synchronously and in process, and turns everything the module can do wrong into a refusal
// it throws strings and plain objects, it answers `[]` for an undefined result, and after a throw an instance may
// be unusable.
import { BoundedCache } from '../core/bounded-cache.ts';
import { messageOf, OperatorError } from '../core/errors.ts';
import { constant } from '../formats/json-text.ts';
import { createCare, isLarge } from './guard/care.ts';
import { CutShort, within } from './guard/cut.ts';
import type { Pulse } from './guard/pulse.ts';
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
import { instantiate, type WasmPolicy } from './wasm.ts';

const OBLIGATIONS: ReadonlySet<string> = new Set(obligationSchema.options.map(({ shape }) => shape.type.value));

/**
 * The decision of the policy, or why there is no usable one. `detail` is for the audit log, never for a client. `cut`: the
 * evaluation was ended at its limit of time or memory, and would have gone on.
 */
export type Evaluation =
  | { ok: true; decision: PolicyDecision; nanoseconds: number }
  | { ok: false; code: RefusalCode; detail: string; nanoseconds: number; cut?: true };

/** The names of the tools that a client may see, or why the policy gave no usable answer. */
export type Visibility = { ok: true; names: ReadonlySet<string> } | { ok: false; code: RefusalCode; detail: string };

/** Asks the policy. Without I/O, clock or randomness, so the same input always gives the same decision. */
export interface Evaluator {
  /** Decides one call. Never throws. `text`: the input as JSON, where it is at hand. `careful`: under the guard in any case. */
  evaluate(input: DecisionInput, text?: string, careful?: boolean): Evaluation;
  /** Answers which of the listed tools a client may see. Never throws. */
  visible(input: ListingInput): Visibility;
}

/** The policy to evaluate. */
export interface EvaluatorOptions {
  module: WebAssembly.Module;
  /** Base data of the policy: `{ settings }`. */
  data: object;
  /**
   * The longest evaluation that is accepted, in milliseconds. An answer that comes later is discarded, and the input is
   * evaluated once more; when that is late, too, the call is refused.
   */
  budgetMs: number;
  /** Ends an evaluation that takes too long. Left out where nobody waits for the process. */
  guard?: Guard;
  /** Which reasons may let a call pass; left out, every reason but that of the default. */
  backing?: Backing;
}

/** How evaluations are kept from holding the process. */
export interface Guard {
  /** Longest evaluation of a large input, or of a tool that has been slow, in milliseconds: it is ended then. */
  ms: number;
  /** Whether every evaluation runs under the guard at present: nobody has tried the policy, or it has held the process before. */
  always?: (() => boolean) | undefined;
  /** Where the thread that watches the process sees those that run without the guard. */
  pulse?: Pulse | undefined;
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
export function createEvaluator(options: EvaluatorOptions): Evaluator {
  const { module, data, budgetMs, guard, backing = NOT_THE_DEFAULT } = options;
  let policy: WasmPolicy | undefined;
  try {
    policy = instantiate(module, data);
  } catch (thrown) {
    const message = messageOf(thrown);
    throw new OperatorError(
      message.startsWith('opa_malloc')
        ? 'the settings do not fit the 16 MiB that a policy has: where a role lists very many tools, let it list "*" and have a rule of the site deny the others'
        : `the WebAssembly is no policy that OPA compiled: ${message}`,
    );
  }
  for (const name of ENTRYPOINTS)
    if (!(name in policy.entrypoints)) throw new OperatorError(`the compiled policy has no entrypoint ${name}`);

  type Asked = { ok: true; results: string; nanoseconds: number } | (Failure & { nanoseconds: number; cut?: true });

  /** `limitMs`: it is ended then; without, it may take as long as it takes. `tried`: it was put aside once. */
  function ask(text: string, entrypoint: string, limitMs?: number, tried = false): Asked {
    const started = process.hrtime.bigint();
    let results: string;
    try {
      policy ??= instantiate(module, data);
      const present = policy;
      const evaluate = () => present.evaluate(text, present.entrypoints[entrypoint] as number);
      results = limitMs === undefined ? evaluate() : withinWhileRunning(limitMs, evaluate);
    } catch (thrown) {
      policy = undefined;
      const nanoseconds = Number(process.hrtime.bigint() - started);
      // A cut instance must not be asked again, so the second try has a fresh one.
      if (thrown instanceof PutAside && !tried) return ask(text, entrypoint, limitMs, true);
      if (thrown instanceof CutShort || thrown instanceof PutAside)
        return { ok: false, code: 'decision.over_budget', detail: `cut after ${limitMs} ms`, nanoseconds, cut: true };
      const detail = messageOf(thrown);
      const cut = detail.startsWith('opa_malloc') ? { cut: true as const } : {};
      return { ok: false, code: 'decision.error', detail, nanoseconds, ...cut };
    }
    const nanoseconds = Number(process.hrtime.bigint() - started);
    return nanoseconds > budgetMs * 1e6
      ? { ok: false, code: 'decision.over_budget', detail: `${Math.round(nanoseconds / 1e6)} ms`, nanoseconds }
      : { ok: true, results, nanoseconds };
  }

  // V8 takes no shorter one.
  const limitMs = guard && Math.max(1, Math.min(guard.ms, budgetMs));
  const care = createCare(limitMs ?? Number.POSITIVE_INFINITY, guard?.always ?? never);

  /**
   * What is slow or late is asked once more, under the guard: on a busy machine the process may have been put aside during an
   * evaluation, and the same input has the same answer. Only what is slow both times is slow. A large input that was cut is
   * not asked again, because there the rule is the likely cause.
   */
  function decide(tool: string, text: string, careful: boolean): Asked {
    const guarded = limitMs !== undefined && (careful || care.needed(tool, text));
    if (!guarded) guard?.pulse?.enter(tool);
    const first = ask(text, ENTRYPOINT, guarded ? limitMs : undefined);
    if (!guarded) guard?.pulse?.leave();
    const late = !first.ok && first.code === 'decision.over_budget' && (!first.cut || !isLarge(text));
    const again = late || (!guarded && care.isSlow(first.nanoseconds));
    const second = again ? ask(text, ENTRYPOINT, limitMs) : first;
    care.took(tool, second.nanoseconds);
    return first.ok ? first : second;
  }

  const decisionOf = createReader((results) => readDecision(results, backing));
  const namesOf = createReader(readNames, LISTS);

  return {
    evaluate(input, text = JSON.stringify(input), careful = false) {
      const asked = decide(input.tool.name, text, careful);
      if (!asked.ok) return asked;
      const read = decisionOf(asked.results);
      return { ...read, nanoseconds: asked.nanoseconds };
    },

    // A list is asked for seldom, and may be long.
    visible(input) {
      const text = JSON.stringify(input);
      const first = ask(text, VISIBLE, guard && budgetMs);
      const late = !first.ok && first.code === 'decision.over_budget' && !first.cut;
      const asked = late ? ask(text, VISIBLE, guard && budgetMs) : first;
      return asked.ok ? namesOf(asked.results) : asked;
    },
  };
}

const never = () => false;

/** Of the time of the limit, what the process must have run for the evaluation to be what took it. */
const RUN_PART = 0.5;

/**
 * On a busy machine the process may be put aside for the time of the limit, and whoever called must not be held back for that:
 * then it is tried once more.
 */
function withinWhileRunning(limitMs: number, work: () => string): string {
  const before = process.cpuUsage();
  try {
    return within(limitMs, work);
  } catch (thrown) {
    const { user, system } = process.cpuUsage(before);
    if (!(thrown instanceof CutShort) || (user + system) / 1000 >= limitMs * RUN_PART) throw thrown;
    throw new PutAside();
  }
}

/** The time was up, and the process did not run in it. */
class PutAside extends Error {}

type Failure = { ok: false; code: RefusalCode; detail: string };

/** Most results that are remembered, and the longest of them, in characters: decisions, and lists of names of tools. */
const DECISIONS = { most: 1000, longest: 2000 };
const LISTS = { most: 100, longest: 50_000 };

/** Most results read as one before, so what was read and checked once is looked up by its text. */
function createReader<T>(read: (results: string) => T, { most, longest } = DECISIONS): (results: string) => T {
  const known = new BoundedCache<string, T>(most);
  return (results) => {
    const before = known.get(results);
    if (before !== undefined) return before;
    const fresh = read(results);
    if (results.length <= longest) known.set(results, fresh);
    return fresh;
  };
}

/** The one value of a result set. A module that is none of OPA's may write anything. */
function resultOf(results: string): { ok: true; value: unknown } | Failure {
  let set: unknown;
  try {
    set = JSON.parse(results);
  } catch {
    return { ok: false, code: 'decision.error', detail: 'the result is no JSON' };
  }
  if (!Array.isArray(set) || set.length === 0)
    return { ok: false, code: 'decision.undefined', detail: 'empty result set' };
  return { ok: true, value: set.length === 1 ? set[0]?.result : undefined };
}

function readDecision(results: string, backing: Backing): { ok: true; decision: PolicyDecision } | Failure {
  const result = resultOf(results);
  if (!result.ok) return result;
  const unknown = unknownObligation(result.value);
  if (unknown !== undefined) return { ok: false, code: 'decision.unknown_obligation', detail: unknown };
  const parsed = decisionSchema.safeParse(result.value);
  if (!parsed.success) return { ok: false, code: 'decision.malformed', detail: describe(parsed.error.issues) };
  const unbacked = unbackedBy(parsed.data, backing);
  if (unbacked !== undefined) return { ok: false, code: 'decision.malformed', detail: unbacked };
  return { ok: true, decision: constant(parsed.data) };
}

function readNames(results: string): Visibility {
  const result = resultOf(results);
  if (!result.ok) return result;
  const parsed = visibleSchema.safeParse(result.value);
  return parsed.success
    ? { ok: true, names: new Set(parsed.data) }
    : { ok: false, code: 'decision.malformed', detail: describe(parsed.error.issues) };
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
