// What the rules of a policy give, as far as it is written out: objects with a grade, a code, parameters.
import { type Module, nameOf } from './modules.ts';
import { eachCall, eachTerm, isTerm, membersOf, pathOf, type Rule, scalarOf, type Term } from './terms.ts';

/** Every object that a rule writes out, also through a function of its module, with the arguments put in. */
export function objectsOf(module: Module, rule: Rule, depth = 2): Term[] {
  const objects: Term[] = [];
  eachTerm([rule.head, rule.body, rule.else], (term) => {
    if (term.type === 'object') objects.push(term);
  });
  if (depth === 0) return objects;
  eachCall([rule.head, rule.body, rule.else], ({ name, args, location }) => {
    for (const called of module.rules.filter((r) => nameOf(r) === name && r.head.args)) {
      const given = new Map((called.head.args ?? []).map((arg, i) => [String(arg.value), args[i]] as const));
      for (const object of objectsOf(module, called, depth - 1))
        objects.push(substitute(object, given, location ?? rule.location));
    }
  });
  return objects;
}

/** A copy of a term with variables replaced. A problem in it is shown where the call stands. */
function substitute(term: Term, given: ReadonlyMap<string, Term | undefined>, location: Term['location']): Term {
  const inside = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inside);
    if (!isTerm(value)) return value;
    const replaced = value.type === 'var' ? given.get(String(value.value)) : undefined;
    return replaced ?? { ...value, value: inside(value.value), ...(location && { location }) };
  };
  return inside(term) as Term;
}

/** The literals that a term can be, through local names and names of the module; those that are computed are left out. */
export function literalsOf(module: Module, rule: Rule, term: Term | undefined, depth = 4): Term[] {
  if (!term || depth === 0) return [];
  if (scalarOf(term) !== undefined) return [term];
  if (term.type !== 'var') {
    const [name, ...rest] = pathOf(term) ?? [];
    const table = rest.length === 1 ? module.rules.filter((r) => nameOf(r) === name) : [];
    return table.flatMap((r) => valuesOf(r).flatMap((value) => [...(membersOf(value)?.values() ?? [])]));
  }
  const local = bindingsOf(rule, String(term.value));
  if (local.length > 0) return local.flatMap((bound) => literalsOf(module, rule, bound, depth - 1));
  return module.rules
    .filter((r) => nameOf(r) === term.value)
    .flatMap((r) => valuesOf(r).flatMap((value) => literalsOf(module, r, value, depth - 1)));
}

/** The values of a complete rule and of its `else` branches. */
export function valuesOf({ head, else: otherwise }: Rule): Term[] {
  return [...(head.value ? [head.value] : []), ...(otherwise ? valuesOf(otherwise) : [])];
}

/** The terms that a variable is bound to in a rule: `v := term`, `v = term`. */
export function bindingsOf(rule: Rule, variable: string): Term[] {
  const bound: Term[] = [];
  eachCall([rule.body, rule.else], ({ name, args: [left, right] }) => {
    if ((name !== 'assign' && name !== 'eq') || !left || !right) return;
    if (left.type === 'var' && left.value === variable) bound.push(right);
    else if (name === 'eq' && right.type === 'var' && right.value === variable) bound.push(left);
  });
  return bound;
}

/** What a variable is compared with by `==`: it holds the same then. */
export function equalTo(rule: Rule, variable: string): Term[] {
  const found: Term[] = [];
  eachCall([rule.body, rule.else], ({ name, args: [left, right] }) => {
    if (name !== 'equal' || !left || !right) return;
    if (left.type === 'var' && left.value === variable) found.push(right);
    if (right.type === 'var' && right.value === variable) found.push(left);
  });
  return found;
}

/** The collections that a variable runs over: `some v in collection`, `every v in collection`. */
export function collectionsOf(rule: Rule, variable: string): Term[] {
  const found: Term[] = [];
  eachCall([rule.head, rule.body, rule.else], ({ name, args }) => {
    const collection = args.at(-1);
    if (!/^internal\.member_[23]$/.test(name) || !collection) return;
    if (args.slice(0, -1).some((arg) => arg.type === 'var' && arg.value === variable)) found.push(collection);
  });
  eachEvery([rule.head, rule.body, rule.else], (key, value, domain) => {
    if ([key, value].some((term) => term?.type === 'var' && term.value === variable)) found.push(domain);
  });
  return found;
}

function eachEvery(part: unknown, visit: (key: Term | undefined, value: Term | undefined, domain: Term) => void): void {
  if (Array.isArray(part)) for (const item of part) eachEvery(item, visit);
  else if (typeof part === 'object' && part !== null) {
    const { domain, key, value } = part as { domain?: unknown; key?: unknown; value?: unknown };
    if (isTerm(domain)) visit(isTerm(key) ? key : undefined, isTerm(value) ? value : undefined, domain);
    for (const [name, inner] of Object.entries(part)) if (name !== 'location') eachEvery(inner, visit);
  }
}

/** A finding or a reason that a rule writes out. */
export interface Given {
  object: Term;
  grade: Term | undefined;
  code: Term | undefined;
  params: Term | undefined;
  obligations: Term | undefined;
}

/** The findings and reasons that a rule writes out. */
export function givenBy(module: Module, rule: Rule): Given[] {
  return objectsOf(module, rule).flatMap((object): Given[] => {
    const members = membersOf(object);
    const reason = resolve(rule, members?.get('reason'));
    const inner = reason ? membersOf(reason) : members?.has('code') ? members : undefined;
    if (!members?.has('grade') && !inner?.has('code')) return [];
    return [
      {
        object,
        grade: members?.get('grade'),
        code: inner?.get('code'),
        params: resolve(rule, inner?.get('params')),
        obligations: resolve(rule, members?.get('obligations')),
      },
    ];
  });
}

/** The term itself, or what a local name stands for when that is one thing. */
export function resolve(rule: Rule, term: Term | undefined): Term | undefined {
  if (term?.type !== 'var') return term;
  const bound = bindingsOf(rule, String(term.value));
  return bound.length === 1 ? bound[0] : term;
}

/**
 * The parameters of the reasons that a rule gives, by name; "*" with the whole rule where they are not written out one by
 * one in its head.
 */
export function paramsOf(module: Module, rule: Rule): [string, unknown][] {
  const { head } = rule;
  const key = resolve(rule, head.key);
  const reason = key && resolve(rule, membersOf(key)?.get('reason') ?? key);
  const params = reason && resolve(rule, membersOf(reason)?.get('params'));
  const members = params && membersOf(params);
  const whole: [string, unknown][] = [['*', [head, rule.body, rule.else]]];
  if (!members) return givenBy(module, rule).every(({ params: other }) => other && isEmpty(other)) ? [] : whole;
  // A name that is computed may itself be an argument.
  return members.size === (params.value as unknown[]).length ? [...members] : whole;
}

const isEmpty = (term: Term): boolean => membersOf(term)?.size === 0;

/** Whether a term can be nothing but literals; else part of it is computed. */
export function isLiteral(module: Module, rule: Rule, term: Term | undefined, depth = 4): boolean {
  if (!term || depth === 0) return false;
  if (scalarOf(term) !== undefined) return true;
  if (term.type !== 'var') return false;
  const local = bindingsOf(rule, String(term.value));
  if (local.length > 0) return local.every((bound) => isLiteral(module, rule, bound, depth - 1));
  const named = module.rules.filter((other) => nameOf(other) === term.value);
  return (
    named.length > 0 &&
    named.every((other) => valuesOf(other).every((value) => isLiteral(module, other, value, depth - 1)))
  );
}
