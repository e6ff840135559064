// Which tool arguments a part of a rule is made from. Too many rather than too few: what comes from an argument that may
// not be on record must not get there as a parameter.
import { contentOf, fullPath, type Module, reached } from './modules.ts';
import { eachTerm, pathOf, type Rule, type Term } from './terms.ts';
import { bindingsOf, collectionsOf, equalTo } from './values.ts';

/** Names of arguments; "*" is any. */
export type Names = ReadonlySet<string>;

const ARGUMENTS = ['input', 'tool', 'arguments'];

/** Every argument that the text of a rule names; "*" where it takes them all. */
export function argumentsNamed({ head, body, else: otherwise }: Rule): Names {
  const names = new Set<string>();
  eachTerm([head, body, otherwise], (term) => {
    const name = argumentOf(term);
    if (name !== undefined) names.add(name);
  });
  return names;
}

/** Every argument that a rule reads, also through functions and other rules. */
export function argumentsRead(modules: readonly Module[], module: Module, rule: Rule): Names {
  const names = new Set<string>();
  const read = (each: Rule) => {
    for (const name of argumentsNamed(each)) names.add(name);
  };
  read(rule);
  for (const found of reached(modules, module, contentOf(rule))) read(found.rule);
  return names;
}

/** Whether a rule itself names an argument, or takes them all, and not only through others. */
export function namesArguments({ head, body, else: otherwise }: Rule): boolean {
  let found = false;
  eachTerm([head, body, otherwise], (term) => {
    const path = pathOf(term);
    if (path !== undefined && path.length >= ARGUMENTS.length && argumentOf(term) !== undefined) found = true;
  });
  return found;
}

/**
 * The arguments that `part`, which stands in `rule`, depends on. A local name is followed where it is bound by `:=`, `=` or
 * `some … in`; where it comes from anything else, it may hold whatever the rule reads.
 */
export function argumentsIn(modules: readonly Module[], module: Module, rule: Rule, part: unknown): Names {
  const names = new Set<string>();
  const seen = new Set<string>();
  let unknown = replaces(rule);
  const visit = (inside: unknown) => {
    for (const found of reached(modules, module, inside))
      for (const name of argumentsRead(modules, found.module, found.rule)) names.add(name);
    eachTerm(inside, (term) => {
      const name = argumentOf(term);
      if (name !== undefined) names.add(name);
      const path = pathOf(term);
      const [variable] = path ?? [];
      if (!path || typeof variable !== 'string' || seen.has(variable)) return;
      const full = fullPath(module, path);
      // A package by a computed name may be any.
      if (full[0] === 'data' && full[1] !== 'settings' && full.includes(null)) unknown = true;
      if (full[0] === 'data' || full[0] === 'input') return;
      seen.add(variable);
      const bound = [...bindingsOf(rule, variable), ...collectionsOf(rule, variable), ...equalTo(rule, variable)];
      if (bound.length === 0) unknown = true;
      visit(bound);
    });
  };
  visit(part);
  if (unknown) for (const name of argumentsRead(modules, module, rule)) names.add(name);
  return names;
}

/** Whether the rule evaluates something with another input, which may be made of arguments. */
const replaces = (rule: Rule): boolean => JSON.stringify([rule.body, rule.else ?? null]).includes('"with":[');

/** The argument that a reference reads. Whoever takes the arguments, the tool or the input as a whole reads all. */
function argumentOf(term: Term): string | undefined {
  const path = pathOf(term);
  if (path?.[0] !== 'input') return undefined;
  const common = Math.min(path.length, ARGUMENTS.length);
  if (!ARGUMENTS.slice(0, common).every((part, i) => path[i] === part || path[i] === null)) return undefined;
  return path.length > ARGUMENTS.length ? (path[ARGUMENTS.length] ?? '*') : '*';
}
