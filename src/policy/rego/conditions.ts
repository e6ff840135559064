// What the body of a rule compares: a fact of the input with values that are written out.
import { fullPath, type Module, nameOf } from './modules.ts';
import { eachCall, eachTerm, isTerm, itemsOf, type Location, pathOf, type Rule, scalarOf, type Term } from './terms.ts';
import { bindingsOf, collectionsOf, valuesOf } from './values.ts';

/** One comparison. `path` begins with "input"; null is an item of a list or any name of a table. */
export interface Comparison {
  path: (string | null)[];
  operator: 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte' | 'in' | 'contains';
  literals: Term[];
  location: Location | undefined;
}

const OPERATORS = ['eq', 'equal', 'neq', 'lt', 'lte', 'gt', 'gte'];
const TURNED: Record<string, Comparison['operator']> = { lt: 'gt', lte: 'gte', gt: 'lt', gte: 'lte' };

/** The comparisons of a rule between the input and literals, through local names and constants of the module. */
export function comparisonsOf(module: Module, rule: Rule): Comparison[] {
  const found: Comparison[] = [];
  const add = (operand: Term, operator: Comparison['operator'], literals: Term[], location: Location | undefined) => {
    if (literals.length > 0)
      for (const path of inputPaths(rule, operand)) found.push({ path, operator, literals, location });
  };
  eachCall([rule.head, rule.body, rule.else], ({ name, args, location }) => {
    const [left, right] = args;
    if (!left || !right) return;
    if (OPERATORS.includes(name)) {
      const operator = (name === 'equal' ? 'eq' : name) as Comparison['operator'];
      add(left, operator, scalars(module, rule, right), location);
      add(right, TURNED[operator] ?? operator, scalars(module, rule, left), location);
    } else if (name === 'internal.member_2') {
      add(left, 'in', items(module, rule, right), location);
      const literals = scalars(module, rule, left);
      if (literals.length > 0 && left.type !== 'var')
        for (const path of inputPaths(rule, right))
          found.push({ path: [...path, null], operator: 'contains', literals, location });
    }
  });
  // A table of constants that is asked for a fact: `most[input.tool.name]`.
  eachTerm([rule.head, rule.body, rule.else], (term) => {
    const [table, key, ...rest] = term.type === 'ref' ? (term.value as Term[]) : [];
    if (!table || !key || rest.length > 0 || table.type !== 'var' || key.type === 'string') return;
    const keys = constants(module, rule, table).flatMap((value) =>
      value.type === 'object' ? (value.value as [Term, Term][]).map(([name]) => name) : [],
    );
    add(
      key,
      'in',
      keys.filter((name) => scalarOf(name) !== undefined),
      term.location,
    );
  });
  return found;
}

/** The literals that a term can be: itself, a local name, a constant, an item of a collection that is written out. */
function scalars(module: Module, rule: Rule, term: Term): Term[] {
  if (scalarOf(term) !== undefined) return [term];
  if (term.type !== 'var') return [];
  const name = String(term.value);
  const values = [...bindingsOf(rule, name), ...constants(module, rule, term)].filter(
    (value) => scalarOf(value) !== undefined,
  );
  return [...values, ...collectionsOf(rule, name).flatMap((collection) => items(module, rule, collection))];
}

/** The literal items of a collection that is written out here or in a constant. */
function items(module: Module, rule: Rule, term: Term): Term[] {
  const collections =
    term.type === 'var' ? [...bindingsOf(rule, String(term.value)), ...constants(module, rule, term)] : [term];
  return collections
    .flatMap((collection) => itemsOf(collection) ?? rangeOf(collection) ?? [])
    .filter((item) => scalarOf(item) !== undefined);
}

/** The ends of `numbers.range(a, b)`. */
function rangeOf(term: Term): Term[] | undefined {
  if (term.type !== 'call') return undefined;
  const [operator, from, to] = term.value as Term[];
  return operator && from && to && pathOf(operator)?.join('.') === 'numbers.range' ? [from, to] : undefined;
}

/** What a name of the module stands for, and sets that grow by literals. */
function constants(module: Module, rule: Rule, { value }: Term): Term[] {
  if (bindingsOf(rule, String(value)).length > 0) return [];
  const named = module.rules.filter((other) => nameOf(other) === value && !other.head.args);
  return named.flatMap(valuesOf);
}

/** The paths of the input that a term can stand for. */
export function inputPaths(rule: Rule, term: Term, depth = 4): (string | null)[][] {
  const asked = objectGet(term);
  if (asked) return inputPaths(rule, asked.from, depth - 1).map((path) => [...path, ...asked.keys]);
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

/** The object and the keys of `object.get(object, "key", default)`, where they are written out. */
export function objectGet(term: Term): { from: Term; keys: string[] } | undefined {
  if (term.type !== 'call') return undefined;
  const [operator, from, key] = term.value as Term[];
  if (!operator || !from || !key || pathOf(operator)?.join('.') !== 'object.get') return undefined;
  const keys = (itemsOf(key) ?? [key]).map(scalarOf);
  return keys.every((name) => typeof name === 'string') ? { from, keys: keys as string[] } : undefined;
}

/** The paths of settings that a rule reads, and whether it asks those of every role. */
export function settingsRead(
  module: Module,
  rule: Rule,
): { path: string[]; asked: boolean; location: Location | undefined }[] {
  const found: { path: string[]; asked: boolean; location: Location | undefined }[] = [];
  eachTerm([rule.head, rule.body, rule.else], (term) => {
    if (term.type !== 'ref') return;
    for (const path of settingPaths(module, rule, term, 4)) {
      const literal = path.path.slice(0, path.path.includes(null) ? path.path.indexOf(null) : undefined) as string[];
      if (literal.length > 0) found.push({ path: literal, asked: path.asked, location: term.location });
    }
  });
  return found;
}

/**
 * The paths of settings that a rule asks for one call: those of groups that can be overridden, and those of `access`, where the
 * name of a tool or role stands for whichever is asked.
 */
export function settingsAsked(module: Module, rule: Rule, tool: string, roles: readonly string[]): string[][] {
  const groups = settingsRead(module, rule).map(({ path }) => path);
  const access: string[][] = [];
  eachTerm([rule.head, rule.body, rule.else], (term) => {
    const [data, settings, first, second, ...rest] = term.type === 'ref' ? (pathOf(term) ?? []) : [];
    if (data !== 'data' || settings !== 'settings' || typeof second !== 'string') return;
    // The lists of roles are looked up in a table that was made of them.
    if (first === 'merged' && second === 'tools')
      access.push(...roles.map((role) => ['access', 'roles', role, 'tools']));
    if (first !== 'access') return;
    const names = second === 'roles' || second === 'networks' ? roles : [tool];
    const fields = rest.slice(1).filter((part) => part !== null);
    access.push(
      ...(rest.length === 0 ? [['access', second]] : names.map((name) => ['access', second, name, ...fields])),
    );
  });
  return [...groups, ...access];
}

function settingPaths(
  module: Module,
  rule: Rule,
  term: Term,
  depth: number,
): { path: (string | null)[]; asked: boolean }[] {
  const path = pathOf(term);
  if (!path || depth === 0) return [];
  const [data, first, second, third, ...rest] = fullPath(module, path);
  if (data === 'data' && first === 'sallyport' && second === 'settings') {
    if (third === 'effective') return [{ path: rest, asked: false }];
    return third === 'asked' ? [{ path: rest.slice(1), asked: true }] : [];
  }
  const variable = String(path[0]);
  return [
    ...bindingsOf(rule, variable).flatMap((bound) => settingPaths(module, rule, bound, depth - 1)),
    ...collectionsOf(rule, variable).flatMap((bound) => settingPaths(module, rule, bound, depth - 1)),
  ].map(({ path: before, asked }) => ({ path: [...before, ...path.slice(1)], asked }));
}

/**
 * The tools without which a rule can give nothing: a condition that stands in its body by itself, and is not negated, names
 * them. Undefined where there is none, so that the rule may give something for any tool.
 */
export function toolsRequired(module: Module, rule: Rule): string[] | undefined {
  if (rule.else || rule.default) return undefined;
  for (const { terms, negated, with: replaced } of rule.body) {
    if (negated || replaced || !Array.isArray(terms) || terms.length !== 3) continue;
    const [operator, left, right] = terms as [Term, Term, Term];
    const name = pathOf(operator)?.join('.') ?? '';
    const other = isToolName(left) ? right : isToolName(right) && name !== 'internal.member_2' ? left : undefined;
    if (!other) continue;
    const named =
      name === 'internal.member_2'
        ? writtenOut(module, rule, other, itemsOf)
        : ['eq', 'equal'].includes(name)
          ? writtenOut(module, rule, other, (term) => [term])
          : undefined;
    if (named) return named;
  }
  return undefined;
}

const isToolName = (term: Term): boolean => pathOf(term)?.join('.') === 'input.tool.name';

/** The texts that a term is, where they are all written out in it, or in the one rule that it names. */
function writtenOut(
  module: Module,
  rule: Rule,
  term: Term,
  parts: (term: Term) => Term[] | undefined,
): string[] | undefined {
  const named = term.type === 'var' ? module.rules.filter((other) => nameOf(other) === term.value) : [];
  const name = String(term.value);
  // A local name may hide the one of the module, however it is bound; then it stands more than once in the rule.
  if (term.type === 'var' && (occurrences(rule, name) > 1 || module.elsewhere.has(name))) return undefined;
  const [only] = named;
  if (term.type === 'var' && (named.length !== 1 || !only?.head.value || only.else || !isUnconditional(only)))
    return undefined;
  const texts = (parts(only?.head.value ?? term) ?? [undefined]).map(scalarOf);
  return texts.every((text) => typeof text === 'string') ? (texts as string[]) : undefined;
}

function occurrences({ head, body }: Rule, name: string): number {
  const count = (value: unknown): number => {
    if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + count(item), 0);
    if (typeof value !== 'object' || value === null) return 0;
    if (isTerm(value) && value.type === 'var') return value.value === name ? 1 : 0;
    return Object.values(value).reduce((sum: number, inner) => sum + count(inner), 0);
  };
  return count([head, body]);
}

const isUnconditional = ({ body, head }: Rule): boolean =>
  !head.args && body.every(({ terms }) => !Array.isArray(terms) && isTerm(terms) && scalarOf(terms) === true);

/** The tools that a rule names in its own body: `input.tool.name == "x"` or `in {"x", "y"}`. */
export function toolsNamed(module: Module, rule: Rule): string[] {
  return comparisonsOf(module, rule)
    .filter(({ path, operator }) => path.join('.') === 'input.tool.name' && (operator === 'eq' || operator === 'in'))
    .flatMap(({ literals }) => literals.map(({ value }) => String(value)));
}
