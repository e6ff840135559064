// Which rules fired on one input, and of each that did not, the first condition that failed: by the trace of OPA, which runs the
// sources. Its indices are off, so that a rule which an index leaves out is tried as well.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DecisionInput } from '../../decision/schema.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import { canonicalJson } from '../../formats/json.ts';
import type { Opa } from '../opa.ts';
import { nameOf } from '../rego/modules.ts';
import type { ReasonRule } from '../rego/reasons.ts';
import type { Location, Term } from '../rego/terms.ts';
import { opaRun } from '../run/opa.ts';
import type { Stage } from '../run/stage.ts';

/** What became of one rule. */
export interface Traced {
  fired: boolean;
  /** Of a rule that did not fire: where the condition stands that failed, and with which values. */
  failed: { file: string; row: number; values: string } | undefined;
}

/** An event of the trace, as far as it is looked at. */
interface Event {
  Op: string;
  Node?: { head?: unknown; index?: number; negated?: boolean; terms?: Term | Term[]; location?: Location };
  Location?: Location;
  QueryID: number;
  Locals?: { name: string; type: string; value: unknown }[];
  LocalMetadata?: Record<string, { name: string }>;
}

/** Traces the rules. The answer is by rule; one that OPA never tried is not in it. */
export async function traceRules(
  stage: Stage,
  rules: readonly ReasonRule[],
  input: DecisionInput,
  settings: LoadedSettings,
  opa: Opa,
): Promise<Map<ReasonRule, Traced>> {
  writeFileSync(join(stage.dir, 'settings.json'), JSON.stringify({ settings }));
  writeFileSync(join(stage.dir, 'input.json'), JSON.stringify(input));
  const asked = [...new Set(rules.map(({ module, rule }) => `data.${module.package}.${nameOf(rule)}`))];
  const paths = [...stage.roots, 'settings.json'].flatMap((root) => ['-d', root]);
  const query = `[${asked.map((path) => `[x | x := ${path}]`).join(', ')}]`;
  const flags = ['--disable-indexing', '--disable-early-exit', '--explain', 'full', '--format', 'json'];
  const output = await opaRun(opa, stage.dir, ['eval', ...flags, ...paths, '-i', 'input.json', query]);
  const { explanation = [] } = JSON.parse(output) as { explanation?: Event[] };
  return read(rules, explanation, input);
}

function read(rules: readonly ReasonRule[], events: readonly Event[], input: DecisionInput): Map<ReasonRule, Traced> {
  const byPlace = new Map(rules.map((rule) => [placeOf(rule.rule.location ?? rule.rule.head.location), rule]));
  const queries = new Map<number, ReasonRule>();
  const traced = new Map<ReasonRule, Traced & { index: number }>();
  for (const event of events) {
    const { Op, Node: node, QueryID: query } = event;
    const rule = node?.head ? byPlace.get(placeOf(event.Location ?? node.location)) : queries.get(query);
    if (!rule) continue;
    const known = traced.get(rule) ?? { fired: false, failed: undefined, index: -1 };
    traced.set(rule, known);
    if (node?.head && Op === 'Enter') queries.set(query, rule);
    else if (node?.head && Op === 'Exit') known.fired = true;
    // With several values to run over, the attempt that came furthest says most.
    else if (Op === 'Fail' && queries.get(query) === rule && (node?.index ?? 0) >= known.index) {
      const { file = '', row = 0 } = event.Location ?? {};
      known.index = node?.index ?? 0;
      known.failed = { file, row, values: valuesOf(event, input) };
    }
  }
  return new Map([...traced].map(([rule, { fired, failed }]) => [rule, { fired, failed: fired ? undefined : failed }]));
}

const placeOf = (location: Location | undefined): string => `${location?.file}:${location?.row}`;

const OPERATORS: Record<string, string> = {
  eq: '==',
  equal: '==',
  neq: '!=',
  lt: '<',
  lte: '<=',
  gt: '>',
  gte: '>=',
  'internal.member_2': 'in',
};
const LONGEST_VALUE = 60;

/** The expression with values in the place of names: "120 >= 300". */
function valuesOf({ Node: node, Locals: locals = [] }: Event, input: DecisionInput): string {
  const values = new Map(locals.map(({ name, type, value }) => [name, plainOf({ type, value } as Term)]));
  const word = (term: Term): string => {
    if (term.type === 'var') {
      const value = values.get(String(term.value));
      return value === undefined ? '_' : short(value);
    }
    if (term.type === 'ref') {
      const found = inputAt(term, values, input);
      return found === undefined ? refWords(term, values) : short(found);
    }
    return short(plainOf(term, values));
  };
  const terms = node?.terms;
  if (!Array.isArray(terms))
    return terms
      ? node?.negated
        ? `not ${word(terms)}`
        : terms.type === 'ref' && inputAt(terms, values, input) === undefined
          ? `${refWords(terms, values)} is not there`
          : word(terms)
      : '';
  const [operator, ...args] = terms;
  const name = operator ? refWords(operator, values) : '';
  const sign = OPERATORS[name];
  // What is bound here is not there: an input without that part, or a setting without that name.
  const [left, right] = args;
  if (name === 'eq' && left?.type === 'var' && right?.type === 'ref' && !values.has(String(left.value)))
    return `${refWords(right, values)} is not there`;
  if (sign && left && right) return `${node?.negated ? 'not ' : ''}${word(left)} ${sign} ${word(right)}`;
  return `${node?.negated ? 'not ' : ''}${name}(${args.map(word).join(', ')})`;
}

/** What of the input a reference is about; undefined where it is about something else, or nothing is there. */
function inputAt(term: Term, values: ReadonlyMap<string, unknown>, input: DecisionInput): unknown {
  const [head, ...rest] = term.value as Term[];
  if (head?.value !== 'input') return undefined;
  return rest.reduce<unknown>((inside, part) => {
    const key = part.type === 'var' ? values.get(String(part.value)) : plainOf(part);
    return typeof inside === 'object' && inside !== null ? (inside as Record<string, unknown>)[String(key)] : undefined;
  }, input);
}

function refWords(term: Term, values: ReadonlyMap<string, unknown>): string {
  if (term.type !== 'ref') return term.type === 'var' ? String(term.value) : short(plainOf(term));
  const [head, ...rest] = term.value as Term[];
  const root = values.get(String(head?.value));
  const first = root === undefined ? String(head?.value) : short(root);
  return rest.reduce((text, part) => {
    if (part.type === 'string') return `${text}.${part.value}`;
    const value = part.type === 'var' ? values.get(String(part.value)) : plainOf(part);
    return `${text}[${value === undefined ? '_' : short(value)}]`;
  }, first);
}

/** The value of a term of OPA; a name that has none yet stands as "_". */
function plainOf({ type, value }: Term, values: ReadonlyMap<string, unknown> = new Map()): unknown {
  if (type === 'null') return null;
  if (type === 'var') return values.get(String(value)) ?? '_';
  if (type === 'array' || type === 'set') return (value as Term[]).map((item) => plainOf(item, values));
  if (type === 'object')
    return Object.fromEntries(
      (value as [Term, Term][]).map(([key, inner]) => [String(plainOf(key, values)), plainOf(inner, values)]),
    );
  return typeof value === 'object' ? '_' : value;
}

function short(value: unknown): string {
  const text = (canonicalJson(value) ?? 'nothing').replaceAll('"_"', '_');
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}
