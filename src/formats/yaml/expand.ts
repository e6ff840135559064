// Replaces the references to environment variables in a whole value, and remembers where they were.
import { type Expanded, expandReferences, shownReferences } from './references.ts';

/** A value without references, and what is known of those that it had. */
export interface ExpandedValue {
  raw: unknown;
  /** By `keyOf` their paths, the values that are one reference as a whole, and what they come from, as messages name it. */
  variables: ReadonlyMap<string, string>;
  /** By `keyOf` their paths, the texts of values with references in them. */
  references: ReadonlyMap<string, string>;
  /** The values of variables that stand in it, each with the reference to it. */
  values: ReadonlyMap<string, string>;
  /** Texts with references in them, values and keys, by what became of them. */
  written: ReadonlyMap<string, string>;
  /** The paths of values with a variable that is not set and was left open. */
  open: ReadonlySet<string>;
  /** What is wrong with references, at the paths of their values. */
  unset: { path: PropertyKey[]; message: string }[];
}

type Env = NodeJS.ProcessEnv | undefined;

/** Spells a path as one text. */
export const keyOf = (path: readonly PropertyKey[]): string => path.map(String).join('\0');

/** A key with its references replaced; as it is written where they cannot be. */
export function keyNamed(
  key: string,
  env: Env,
  open: boolean,
): Pick<Expanded, 'text' | 'problems' | 'open' | 'values'> {
  if (!env) return { text: key, problems: [], open: false, values: [] };
  const expanded = expandReferences(key, env, open);
  return expanded.problems.length > 0 ? { ...expanded, text: shownReferences(key) } : expanded;
}

/** Without `env` nothing is replaced. `open`: variables that are not set are no problem. */
export function expandValue(value: unknown, env: Env, open: boolean): ExpandedValue {
  const variables = new Map<string, string>();
  const references = new Map<string, string>();
  const values = new Map<string, string>();
  const written = new Map<string, string>();
  const left = new Set<string>();
  const unset: ExpandedValue['unset'] = [];
  const note = (path: PropertyKey[], of: Pick<Expanded, 'problems' | 'open' | 'values'>) => {
    for (const [text, reference] of of.values) values.set(text, reference);
    if (of.open) left.add(keyOf(path));
    unset.push(...of.problems.map((message) => ({ path, message })));
  };
  const expand = (inner: unknown, path: PropertyKey[]): unknown => {
    if (typeof inner === 'string') {
      const expanded = expandReferences(inner, env ?? {}, open);
      note(path, expanded);
      if (expanded.names.length > 0) {
        references.set(keyOf(path), shownReferences(inner));
        written.set(expanded.text, shownReferences(inner));
      }
      if (expanded.whole !== undefined) variables.set(keyOf(path), expanded.whole);
      return expanded.text;
    }
    if (Array.isArray(inner)) return inner.map((item, i) => expand(item, [...path, i]));
    if (typeof inner !== 'object' || inner === null) return inner;
    const entries = Object.entries(inner).map(([key, item]): [string, unknown] => {
      const named = keyNamed(key, env, open);
      note([...path, named.text], named);
      if (named.values.length > 0) written.set(named.text, shownReferences(key));
      return [named.text, expand(item, [...path, named.text])];
    });
    const names = entries.map(([name]) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) unset.push({ path: [...path, twice], message: 'is given twice, once by a variable' });
    return Object.fromEntries(entries);
  };
  return { raw: env ? expand(value, []) : value, variables, references, values, written, open: left, unset };
}
