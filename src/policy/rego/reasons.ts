// What the manifest says of each reason code, from METADATA and from the text of the rules.
import type { Manifest } from '../../decision/manifest.ts';
import { argumentsIn, argumentsNamed, type Names, namesArguments } from './arguments.ts';
import { toolsRequired } from './conditions.ts';
import { annotationOf, type Module, nameOf } from './modules.ts';
import { eachTerm, pathOf, type Rule, type Term } from './terms.ts';
import { paramsOf } from './values.ts';

type Reason = Manifest['reasons'][string];

/** A rule with METADATA that names a reason. */
export interface ReasonRule {
  module: Module;
  rule: Rule;
  code: string;
}

/** Every rule that METADATA gives a reason code. */
export function reasonRules(modules: readonly Module[]): ReasonRule[] {
  return modules.flatMap((module) =>
    module.rules.flatMap((rule): ReasonRule[] => {
      const code = annotationOf(rule)?.custom?.reason;
      return typeof code === 'string' ? [{ module, rule, code }] : [];
    }),
  );
}

/** Collects the reason codes with the titles and controls that an auditor reads. */
export function reasonsOf(modules: readonly Module[]): Manifest['reasons'] {
  const reasons = new Map<string, Reason>();
  for (const { module, rule, code } of reasonRules(modules)) {
    const { title = code, custom = {} } = annotationOf(rule) ?? {};
    const known = reasons.get(code);
    const controls = Array.isArray(custom.controls) ? custom.controls.map(String) : [];
    const from = { ...known?.from_arguments };
    for (const [param, names] of paramArguments(modules, module, rule))
      from[param] = [...new Set([...(from[param] ?? []), ...names])].sort();
    reasons.set(code, {
      title: known ? `${known.title}; ${title}` : title,
      controls: [...new Set([...(known?.controls ?? []), ...controls])].sort(),
      ...(custom.own_place === true && (known === undefined || known.own_place) && { own_place: true }),
      ...((nameOf(rule) === 'allow' || known?.allows) && { allows: true }),
      ...(Object.keys(from).length > 0 && { from_arguments: from }),
    });
  }
  return Object.fromEntries([...reasons].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Which parameters of a reason are made from which arguments. */
function paramArguments(modules: readonly Module[], module: Module, rule: Rule): [string, string[]][] {
  return paramsOf(module, rule).flatMap(([param, term]): [string, string[]][] => {
    const names = argumentsIn(modules, module, rule, term);
    return names.size > 0 ? [[param, list(names)]] : [];
  });
}

/** Every argument that a rule reads, with the tools that the rules name; an empty list where one names none. */
export function argumentsRead(modules: readonly Module[]): Record<string, string[]> {
  const read = new Map<string, Set<string> | 'any'>();
  // Where something is evaluated with another input or other data, the condition that names a tool may be met by any.
  const replaced = modules.some(({ rules }) => JSON.stringify(rules).includes('"with":['));
  for (const module of modules) {
    for (const rule of module.rules) {
      const tools = (replaced ? undefined : toolsRequired(module, rule)) ?? [];
      // What it reads through another rule is read by that one.
      for (const name of argumentsNamed(rule)) {
        const before = read.get(name);
        if (tools.length === 0 || before === 'any') read.set(name, 'any');
        else read.set(name, new Set([...(before ?? []), ...tools]));
      }
    }
  }
  const entries = [...read].map(([name, tools]): [string, string[]] => [
    name,
    tools === 'any' ? [] : [...tools].sort(),
  ]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Most literals that are kept, and the longest of them. */
const MOST_LITERALS = 40;
const LONGEST_LITERAL = 64;

/** Texts in rules that look at arguments, and beside them: what a rule does may hang on whether an argument is one of them. */
export function literalsCompared(modules: readonly Module[]): string[] {
  const reading = modules.filter(({ rules }) => rules.some((rule) => namesArguments(rule)));
  const found = new Set<string>();
  // The rules of a site help one another.
  for (const module of modules)
    if (reading.includes(module) || (reading.length > 0 && module.package.startsWith('site.')))
      for (const text of textsOf(module.rules)) found.add(text);
  return [...found].sort().slice(0, MOST_LITERALS);
}

/** The texts in rules, without the names of fields in what they refer to. */
function textsOf(rules: readonly Rule[]): string[] {
  const names = new Set<Term>();
  const texts: string[] = [];
  eachTerm(
    rules.map(({ head: { value, args }, body, else: otherwise }) => [value, args, body, otherwise]),
    (term) => {
      if (term.type === 'ref' && ['input', 'data'].includes(pathOf(term)?.[0] ?? ''))
        for (const part of term.value as Term[]) names.add(part);
      const text = term.type === 'string' && !names.has(term) ? String(term.value) : '';
      if (text !== '' && text.length <= LONGEST_LITERAL) texts.push(text);
    },
  );
  return texts;
}

const list = (names: Names): string[] => [...names].sort();
