// Which tool arguments a part of a rule is made from. Too many rather than too few: what comes from an argument that may
// not be on record must not get there as a parameter.
import { type Module, reached } from './modules.ts';
import { eachTerm, pathOf, type Rule, type Term } from './terms.ts';
import { bindingsOf, collectionsOf } from './values.ts';

/** Names of arguments; "*" is any. */
export type Names = ReadonlySet<string>;

const ARGUMENTS = ['input', 'tool', 'arguments'];

/** The arguments that `part`, which stands in `rule`, depends on, through local names, functions and other rules. */
export function argumentsIn(modules: readonly Module[], module: Module, rule: Rule, part: unknown): Names {
  const names = new Set<string>();
  const seen = new Set<string>();
  const visit = (inside: unknown) =>
    eachTerm(inside, (term) => {
      const name = argumentOf(term);
      if (name !== undefined) names.add(name);
      const [variable] = pathOf(term) ?? [];
      if (typeof variable !== 'string' || seen.has(variable)) return;
      seen.add(variable);
      visit([...bindingsOf(rule, variable), ...collectionsOf(rule, variable)]);
    });
  visit(part);
  for (const found of reached(modules, module, part))
    eachTerm([found.rule.head, found.rule.body, found.rule.else], (term) => {
      const name = argumentOf(term);
      if (name !== undefined) names.add(name);
    });
  return names;
}

/** The argument that a reference reads. Whoever takes the arguments, the tool or the input as a whole reads all. */
function argumentOf(term: Term): string | undefined {
  if (term.type !== 'ref') return undefined;
  const path = pathOf(term);
  if (path?.[0] !== 'input') return undefined;
  const common = Math.min(path.length, ARGUMENTS.length);
  if (!ARGUMENTS.slice(0, common).every((part, i) => path[i] === part || path[i] === null)) return undefined;
  return path.length > ARGUMENTS.length ? (path[ARGUMENTS.length] ?? '*') : '*';
}
