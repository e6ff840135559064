// The syntax tree that `opa parse` gives, as far as it is looked at here. OPA writes it; nothing here parses Rego.

/** A place in a source: its file below the stage, and the line. */
export interface Location {
  file: string;
  row: number;
}

/** One term: a scalar, a variable, a reference, a call, a collection or a comprehension. */
export interface Term {
  type: string;
  value: unknown;
  location?: Location;
}

/** One expression of a body. A single term, a call written as a list with its operator first, or a declaration. */
export interface Expression {
  negated?: boolean;
  terms: Term | Term[] | { symbols?: Term[]; domain?: Term; key?: Term | null; value?: Term; body?: Expression[] };
  with?: { target: Term; value: Term }[];
  location?: Location;
}

/** The head of a rule. A set has a key and no value. */
export interface Head {
  name: string;
  ref: Term[];
  key?: Term;
  value?: Term;
  args?: Term[];
  location?: Location;
}

/** METADATA above a rule or package. */
export interface Annotation {
  scope: string;
  title?: string;
  description?: string;
  entrypoint?: boolean;
  schemas?: { path: Term[] }[];
  custom?: Record<string, unknown>;
  location?: Location;
}

/** One rule, with its `else` branches inside. */
export interface Rule {
  head: Head;
  body: Expression[];
  default?: boolean;
  else?: Rule;
  annotations?: Annotation[];
  location?: Location;
}

/** Whether a value of the tree is a term. */
export function isTerm(value: unknown): value is Term {
  return typeof value === 'object' && value !== null && 'type' in value && 'value' in value;
}

/**
 * Calls `visit` with every term inside a part of the tree, itself included, outermost first. A reference is visited as a
 * whole, and the name that it begins with is not visited besides.
 */
export function eachTerm(part: unknown, visit: (term: Term) => void): void {
  if (Array.isArray(part)) for (const item of part) eachTerm(item, visit);
  else if (typeof part === 'object' && part !== null) {
    if (isTerm(part)) {
      visit(part);
      if (part.type === 'ref') {
        const [head, ...rest] = part.value as Term[];
        // It may begin with a call, a literal or a comprehension, and then with whatever stands in these.
        if (head?.type !== 'var') eachTerm(head, visit);
        eachTerm(rest, visit);
        return;
      }
    }
    for (const [key, value] of Object.entries(part))
      if (key !== 'location' && key !== 'annotations') eachTerm(value, visit);
  }
}

/** The scalar of a literal; undefined for anything that is computed. */
export function scalarOf(term: Term | undefined): string | number | boolean | null | undefined {
  if (!term) return undefined;
  if (term.type === 'null') return null;
  return ['string', 'number', 'boolean'].includes(term.type) ? (term.value as string | number | boolean) : undefined;
}

/** The members of an object literal, by key where the key is a literal text. */
export function membersOf(term: Term): Map<string, Term> | undefined {
  if (term.type !== 'object') return undefined;
  const pairs = term.value as [Term, Term][];
  return new Map(pairs.flatMap(([key, value]) => (key.type === 'string' ? [[String(key.value), value]] : [])));
}

/** The items of an array or set literal. */
export const itemsOf = (term: Term): Term[] | undefined =>
  term.type === 'array' || term.type === 'set' ? (term.value as Term[]) : undefined;

/**
 * The path of a reference as far as it is written out, such as `['input', 'client', 'id']`; `null` stands for a part
 * that is computed or a variable.
 */
export function pathOf(term: Term): (string | null)[] | undefined {
  if (term.type === 'var') return [String(term.value)];
  if (term.type !== 'ref') return undefined;
  const [head, ...rest] = term.value as Term[];
  if (head?.type !== 'var') return undefined;
  return [String(head.value), ...rest.map((part) => (part.type === 'string' ? String(part.value) : null))];
}

/** The name and arguments of a call, whether it stands as an expression or inside a term. */
export interface Call {
  name: string;
  args: Term[];
  location: Location | undefined;
}

/** Calls `visit` with every call in a part of the tree. */
export function eachCall(part: unknown, visit: (call: Call) => void): void {
  if (Array.isArray(part)) {
    const call = callOf(part);
    if (call) visit(call);
    for (const item of part) eachCall(item, visit);
  } else if (typeof part === 'object' && part !== null) {
    for (const [key, value] of Object.entries(part))
      if (key !== 'location' && key !== 'annotations') eachCall(value, visit);
  }
}

/** An operator is a reference that stands first in a list of terms. */
function callOf(list: unknown[]): Call | undefined {
  const [operator, ...args] = list;
  if (!isTerm(operator) || operator.type !== 'ref' || !args.every(isTerm)) return undefined;
  const path = pathOf(operator);
  if (!path || path.includes(null) || path[0] === 'input' || path[0] === 'data') {
    if (path?.[0] !== 'data') return undefined;
  }
  return { name: (path ?? []).join('.'), args: args as Term[], location: operator.location ?? args[0]?.location };
}
