// What the body of a rule compares: a fact of the input with values that are written out.

import { eachCall, itemsOf, type Location, pathOf, type Rule, scalarOf, type Term } from './terms.ts';
import { bindingsOf, collectionsOf } from './values.ts';

/** One comparison. `path` begins with "input"; null is an item of a list or any name of a table. */
export interface Comparison {
  path: (string | null)[];
  operator: 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte' | 'in' | 'contains';
  literals: Term[];
  location: Location | undefined;
}

const OPERATORS = ['eq', 'equal', 'neq', 'lt', 'lte', 'gt', 'gte'];
const TURNED: Record<string, Comparison['operator']> = { lt: 'gt', lte: 'gte', gt: 'lt', gte: 'lte' };

/** The comparisons of a rule between the input and literals, through local names. */
export function comparisonsOf(rule: Rule): Comparison[] {
  const found: Comparison[] = [];
  eachCall([rule.head, rule.body, rule.else], ({ name, args, location }) => {
    const [left, right] = args;
    if (!left || !right) return;
    const add = (operand: Term, operator: Comparison['operator'], literals: Term[]) => {
      if (literals.length === 0) return;
      for (const path of inputPaths(rule, operand)) found.push({ path, operator, literals, location });
    };
    if (OPERATORS.includes(name)) {
      const operator = (name === 'equal' ? 'eq' : name) as Comparison['operator'];
      if (scalarOf(right) !== undefined) add(left, operator, [right]);
      else if (scalarOf(left) !== undefined) add(right, TURNED[operator] ?? operator, [left]);
    } else if (name === 'internal.member_2') {
      const items = (itemsOf(right) ?? []).filter((item) => scalarOf(item) !== undefined);
      add(left, 'in', items);
      if (scalarOf(left) !== undefined)
        for (const path of inputPaths(rule, right))
          found.push({ path: [...path, null], operator: 'contains', literals: [left], location });
    }
  });
  return found;
}

/** The paths of the input that a term can stand for. */
export function inputPaths(rule: Rule, term: Term, depth = 4): (string | null)[][] {
  const path = pathOf(term);
  if (!path || depth === 0) return [];
  const [first, ...rest] = path;
  if (first === 'input') return [path];
  const variable = String(first);
  return [
    ...bindingsOf(rule, variable).flatMap((bound) => inputPaths(rule, bound, depth - 1)),
    ...collectionsOf(rule, variable).flatMap((bound) => inputPaths(rule, bound, depth - 1).map((p) => [...p, null])),
  ].map((p) => [...p, ...rest]);
}

/** The tools that a rule names in its own body: `input.tool.name == "x"` or `in {"x", "y"}`. */
export function toolsNamed(rule: Rule): string[] {
  return comparisonsOf(rule)
    .filter(({ path, operator }) => path.join('.') === 'input.tool.name' && (operator === 'eq' || operator === 'in'))
    .flatMap(({ literals }) => literals.map(({ value }) => String(value)));
}
