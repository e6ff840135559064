// Why a policy decides one input as it does: the rules that fired and the settings they asked, why it is no other outcome, and for
// a denial what stands between it and an allow. Computed when asked, and never written into a record.
import { readFileSync } from 'node:fs';
import { sourceFiles } from '../../decision/manifest.ts';
import { REFUSALS } from '../../decision/refusal-codes.ts';
import type { DecisionInput, Obligation, PolicyDecision, Reason } from '../../decision/schema.ts';
import type { Opa } from '../opa.ts';
import { argumentsRead } from '../rego/arguments.ts';
import { comparisonsOf, settingsAsked } from '../rego/conditions.ts';
import { annotationOf, contentOf, lineOf, nameOf, reached } from '../rego/modules.ts';
import { inputRead } from '../rego/reads.ts';
import { type ReasonRule, reasonRules } from '../rego/reasons.ts';
import { scalarOf } from '../rego/terms.ts';
import { withStage } from '../run/stage.ts';
import { evaluatorOf } from '../versions/ask.ts';
import type { LoadedVersion } from '../versions/load.ts';
import { type Between, type Leads, whatStandsBetween } from './nearest.ts';
import { type Traced, traceRules } from './trace.ts';
import { type Standing, standings } from './where.ts';

/** A rule that gave a reason. */
export interface FiredRule {
  code: string;
  title: string;
  description: string | undefined;
  controls: string[];
  /** One for each reason that it gave. */
  params: Reason['params'][];
  /** What it does to the decision: it denies, rotates, lets pass, or is only observed. */
  effect: 'denies' | 'rotates' | 'allows' | 'observed' | 'overruled';
  file: string | undefined;
  line: number | undefined;
  settings: Standing[];
}

/** A rule that gave none. */
export interface SilentRule {
  code: string;
  title: string;
  file: string;
  line: number;
  /** The first condition that failed, with its text and the values in it; undefined where OPA did not say. */
  condition: { file: string; line: number; text: string; values: string } | undefined;
}

export interface Explanation {
  policy: { name: string; commit: string | null; revision: string };
  decision: PolicyDecision;
  obligations: Obligation[];
  fired: FiredRule[];
  /** Undefined where no OPA is here to trace the sources, or no sources are there; `untraced` says which. */
  silent: SilentRule[] | undefined;
  untraced: string | undefined;
  /** Why it is not the others, in a sentence each. */
  why_not: { outcome: string; because: string }[];
  between: Between | undefined;
}

/** Rejects with an OperatorError where OPA fails. */
export async function explain(
  version: LoadedVersion,
  input: DecisionInput,
  opa: Opa | undefined,
): Promise<Explanation> {
  const evaluation = evaluatorOf(version).evaluate(input);
  const decision: PolicyDecision = evaluation.ok
    ? evaluation.decision
    : {
        outcome: 'deny',
        reasons: [{ code: evaluation.code, params: { detail: evaluation.detail } }],
        obligations: [],
        observed: [],
      };
  const { modules } = version;
  const rules = modules ? reasonRules(modules) : [];
  const traced =
    opa && modules
      ? await withStage(version.paths, (stage) => traceRules(stage, rules, input, version.settings, opa))
      : undefined;
  const isFired = ({ code }: ReasonRule, trace: Traced | undefined): boolean =>
    trace ? trace.fired : reasonsIn(decision).some((each) => each.code === code);
  // That nothing allows the call is a reason only where it is given as one.
  const fired = rules.filter(
    (rule) =>
      isFired(rule, traced?.get(rule)) &&
      (nameOf(rule.rule) !== 'no_rule' || effectOf(decision, rule.code) !== 'overruled'),
  );
  const standing = standings(version);
  const { name, commit, revision } = version;
  return {
    policy: { name, commit: commit ?? null, revision },
    decision,
    obligations: decision.obligations,
    fired: firedRules(version, decision, fired, input, standing),
    silent:
      traced &&
      rules
        .filter((rule) => !fired.includes(rule) && nameOf(rule.rule) !== 'no_rule')
        .map((rule) => silentRule(rule, traced.get(rule), textsOf(version))),
    untraced: traced
      ? undefined
      : modules
        ? 'no OPA is here to trace the rules'
        : 'no sources are there, or no OPA to read them',
    why_not: whyNot(decision),
    between:
      decision.outcome === 'deny'
        ? whatStandsBetween(version, input, decision, leadsOf(version, fired, input, decision, standing))
        : undefined,
  };
}

const reasonsIn = ({ reasons, observed = [] }: PolicyDecision): Reason[] => [...reasons, ...observed];

function firedRules(
  version: LoadedVersion,
  decision: PolicyDecision,
  fired: readonly ReasonRule[],
  input: DecisionInput,
  standing: ReturnType<typeof standings>,
): FiredRule[] {
  const given = new Set(fired.map(({ code }) => code));
  const known = fired.map((rule): FiredRule => {
    const annotation = annotationOf(rule.rule);
    return {
      code: rule.code,
      title: annotation?.title ?? rule.code,
      description: annotation?.description,
      controls: Array.isArray(annotation?.custom?.controls) ? annotation.custom.controls.map(String) : [],
      params: paramsOf(decision, rule.code),
      effect: effectOf(decision, rule.code),
      ...{ file: rule.module.file, line: lineOf(rule.rule) },
      settings: settingsOf(version, rule, input, standing),
    };
  });
  // What no METADATA names: a code of the connector, or a policy without sources.
  const rest = [...new Set(reasonsIn(decision).map(({ code }) => code))].filter((code) => !given.has(code));
  const unnamed = rest.map((code): FiredRule => {
    const reason = Object.hasOwn(version.reasons, code) ? version.reasons[code] : undefined;
    const refusal = Object.hasOwn(REFUSALS, code) ? (REFUSALS as Record<string, unknown>)[code] : undefined;
    return {
      ...{
        code,
        title: reason?.title ?? (refusal === undefined ? code : 'the connector refuses by itself'),
        description: undefined,
      },
      ...{ controls: reason?.controls ?? [], params: paramsOf(decision, code), effect: effectOf(decision, code) },
      ...{ file: undefined, line: undefined, settings: [] },
    };
  });
  return [...known, ...unnamed];
}

const paramsOf = (decision: PolicyDecision, code: string): Reason['params'][] =>
  reasonsIn(decision).flatMap((reason) => (reason.code === code ? [reason.params] : []));

function effectOf({ outcome, reasons, observed = [] }: PolicyDecision, code: string): FiredRule['effect'] {
  if (reasons.some((reason) => reason.code === code))
    return outcome === 'deny' ? 'denies' : outcome === 'rotate' ? 'rotates' : 'allows';
  return observed.some((reason) => reason.code === code) ? 'observed' : 'overruled';
}

/** The settings that the rule reads, also through its helpers. */
function settingsOf(
  { modules = [] }: LoadedVersion,
  { module, rule }: ReasonRule,
  input: DecisionInput,
  standing: ReturnType<typeof standings>,
): Standing[] {
  const helpers = reached(modules, module, contentOf(rule)).filter(
    ({ module: other }) => other.package !== 'sallyport.settings',
  );
  const paths = [{ module, rule }, ...helpers].flatMap((each) =>
    settingsAsked(each.module, each.rule, input.tool.name, input.client.roles),
  );
  const unique = new Map(paths.map((path) => [path.join('.'), path]));
  const all = [...unique.values()].flatMap((path) => standing(path, input));
  const scalar = all.filter(({ value }) => typeof value !== 'object' || Array.isArray(value));
  const inner = all.filter(({ value }) => typeof value === 'object' && !Array.isArray(value) && value !== null);
  const opened = inner.flatMap(({ path, value }) =>
    path.length >= 2
      ? Object.keys(value as object).flatMap((key) => standing([...path.slice(layerOf(path)), key], input))
      : [],
  );
  return [...new Map([...scalar, ...opened].map((each) => [each.path.join('.'), each])).values()].filter(
    ({ value }) => typeof value !== 'object' || Array.isArray(value),
  );
}

const layerOf = ([first = '']: readonly string[]): number => (['tools', 'backends', 'roles'].includes(first) ? 2 : 0);

function silentRule(
  { module, rule, code }: ReasonRule,
  traced: Traced | undefined,
  texts: ReadonlyMap<string, string[]>,
): SilentRule {
  const failed = traced?.failed;
  const text = failed && texts.get(failed.file)?.[failed.row - 1]?.trim();
  return {
    ...{ code, title: annotationOf(rule)?.title ?? nameOf(rule), file: module.file, line: lineOf(rule) },
    condition: failed && { file: failed.file, line: failed.row, text: text ?? '', values: failed.values },
  };
}

const textsOf = ({ paths }: LoadedVersion): Map<string, string[]> =>
  new Map([...sourceFiles(paths)].map(([name, file]) => [name, readFileSync(file, 'utf8').split('\n')]));

function whyNot({ outcome, reasons }: PolicyDecision): Explanation['why_not'] {
  const codes = [...new Set(reasons.map(({ code }) => code))].join(', ');
  if (outcome === 'deny') {
    const unallowed = reasons.length === 1 && reasons[0]?.code === 'access.no_rule';
    const because = unallowed ? 'no rule allows the call' : `a rule denies (${codes}), and any denial wins`;
    return [
      { outcome: 'allow', because },
      {
        outcome: 'rotate',
        because: unallowed ? because : 'a rotation is for a call that goes on, and this one is denied',
      },
    ];
  }
  if (outcome === 'rotate')
    return [
      { outcome: 'allow', because: `a rule wants a new login first (${codes})` },
      { outcome: 'deny', because: 'no rule denies, and a rule allows the call' },
    ];
  return [
    { outcome: 'rotate', because: 'no rule wants a new login' },
    { outcome: 'deny', because: `no rule denies, and a rule allows the call (${codes})` },
  ];
}

function leadsOf(
  version: LoadedVersion,
  fired: readonly ReasonRule[],
  input: DecisionInput,
  decision: PolicyDecision,
  standing: ReturnType<typeof standings>,
): Leads {
  const { modules = [] } = version;
  const denying = fired.filter(({ code }) => decision.reasons.some((reason) => reason.code === code));
  // Where nothing allows the call, what could have is worth trying as well.
  const unallowed = decision.reasons.some(({ code }) => code === 'access.no_rule');
  const allowing = unallowed ? reasonRules(modules).filter(({ rule }) => nameOf(rule) === 'allow') : [];
  const rules = [...denying, ...allowing];
  const parts = rules.flatMap(({ module, rule }) => [{ module, rule }, ...reached(modules, module, contentOf(rule))]);
  const settings = rules.flatMap((rule) => settingsOf(version, rule, input, standing));
  const lists = unallowed
    ? input.client.roles.flatMap((role) => standing(['access', 'roles', role, 'tools'], input))
    : [];
  const facts = inputRead(parts.map(({ module, rule }) => ({ ...module, rules: [rule] })));
  const args = parts.flatMap(({ module, rule }) => [...argumentsRead(modules, module, rule)]);
  const compared = new Map<string, unknown[]>();
  for (const { module, rule } of parts)
    for (const { path, literals } of comparisonsOf(module, rule)) {
      const fact = path.slice(1, path.includes(null) ? path.indexOf(null) : undefined).join('.');
      const before = compared.get(fact) ?? [];
      compared.set(fact, [...before, ...literals.map((term) => scalarOf(term)).filter((value) => value !== undefined)]);
    }
  const named = args
    .flatMap((name) => (name === '*' ? Object.keys(input.tool.arguments) : [name]))
    .map((name) => `tool.arguments.${name}`);
  return {
    settings: [...lists, ...settings],
    facts: [...facts.filter((path) => path !== 'tool.arguments'), ...named],
    compared,
  };
}
