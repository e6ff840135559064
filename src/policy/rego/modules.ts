// Reads Rego sources through `opa parse`, which gives their syntax tree.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Opa } from '../opa.ts';
import { opaRun } from '../run/opa.ts';
import { type Annotation, eachTerm, pathOf, type Rule, type Term } from './terms.ts';

/** One source. `package` is without "data", such as "sallyport.access". */
export interface Module {
  /** Path below the stage, such as "site/night.rego". */
  file: string;
  package: string;
  /** Line of the package statement. */
  line: number;
  imports: ReadonlyMap<string, string>;
  annotations: readonly Annotation[];
  rules: readonly Rule[];
  /** The names of all rules of the package, in whichever file; and of those that another file has. */
  names: ReadonlySet<string>;
  elsewhere: ReadonlySet<string>;
}

interface Parsed {
  package: { path: Term[]; location?: { row: number } };
  imports?: { path: Term; alias?: string }[];
  annotations?: Annotation[];
  rules?: Rule[];
}

/** Parses the files of a stage. Rejects with an OperatorError that has the message of OPA. */
export async function parseModules(stage: string, files: readonly string[], opa: Opa): Promise<Module[]> {
  const modules: Module[] = [];
  const names = new Map<string, Set<string>>();
  // A few at a time: each is a process, and a machine that builds has few cores.
  for (let i = 0; i < files.length; i += 4)
    modules.push(...(await Promise.all(files.slice(i, i + 4).map((file) => parseModule(stage, file, opa)))));
  for (const module of modules) {
    const known = names.get(module.package) ?? new Set();
    for (const rule of module.rules) known.add(nameOf(rule));
    names.set(module.package, known);
  }
  return modules.map((module) => {
    const others = modules.filter((other) => other.package === module.package && other !== module);
    const elsewhere = new Set(others.flatMap((other) => other.rules.map(nameOf)));
    return { ...module, names: names.get(module.package) ?? new Set(), elsewhere };
  });
}

/** Two versions of a policy have most sources in common; each takes a process of OPA to be parsed. */
const known = new BoundedCache<string, Promise<Parsed>>(1000);

function parsedFile(stage: string, file: string, opa: Opa): Promise<Parsed> {
  const key = createHash('sha256')
    .update(`${opa.path}\0${file}\0`)
    .update(readFileSync(join(stage, file)))
    .digest('base64');
  const before = known.get(key);
  if (before) return before;
  const args = ['parse', '--format', 'json', '--json-include', 'locations,comments', file];
  const fresh = opaRun(opa, stage, args).then((text) => JSON.parse(text) as Parsed);
  known.set(key, fresh);
  return fresh;
}

async function parseModule(stage: string, file: string, opa: Opa): Promise<Module> {
  const parsed = await parsedFile(stage, file, opa);
  const [, ...path] = parsed.package.path;
  const imports = (parsed.imports ?? []).flatMap(({ path: term, alias }): [string, string][] => {
    const parts = pathOf(term) ?? [];
    return parts[0] === 'data' ? [[alias ?? String(parts.at(-1)), parts.slice(1).join('.')]] : [];
  });
  return {
    file: join(file),
    package: path.map(({ value }) => String(value)).join('.'),
    line: parsed.package.location?.row ?? 1,
    imports: new Map(imports),
    annotations: parsed.annotations ?? [],
    rules: withoutAliases(parsed.rules ?? [], inputAliases(parsed.imports ?? [])),
    names: new Set(),
    elsewhere: new Set(),
  };
}

/** Short names for parts of the input (`import input.client as who`), with the path that each stands for. */
const inputAliases = (imports: NonNullable<Parsed['imports']>): ReadonlyMap<string, Term[]> =>
  new Map(
    imports.flatMap(({ path, alias }): [string, Term[]][] => {
      const parts = path.type === 'ref' ? (path.value as Term[]) : [path];
      const [head] = parts;
      return head?.value === 'input' ? [[alias ?? String(parts.at(-1)?.value), parts]] : [];
    }),
  );

/** The rules with each such name written out, so that whoever looks for the input finds it. */
function withoutAliases(rules: readonly Rule[], aliases: ReadonlyMap<string, Term[]>): Rule[] {
  if (aliases.size === 0) return [...rules];
  const inside = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inside);
    if (typeof value !== 'object' || value === null) return value;
    const term = value as Term;
    if (term.type === 'var' && aliases.has(String(term.value)))
      return { ...term, type: 'ref', value: aliases.get(String(term.value)) };
    if (term.type === 'ref') {
      const [head, ...rest] = term.value as Term[];
      const meant = head?.type === 'var' ? aliases.get(String(head.value)) : undefined;
      return { ...term, value: [...(meant ?? [head?.type === 'var' ? head : inside(head)]), ...rest.map(inside)] };
    }
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, inside(inner)]));
  };
  return rules.map(inside) as Rule[];
}

/** Whether a rule is a set that grows by each body (`name contains …`). */
export const isSet = ({ head }: Rule): boolean =>
  head.key !== undefined && head.value === undefined && head.args === undefined && head.ref.length === 1;

/** Name of a rule. */
export const nameOf = ({ head }: Rule): string => head.name || String(head.ref[0]?.value);

/** The line of a rule. */
export const lineOf = (rule: Rule): number => rule.location?.row ?? rule.head.location?.row ?? 0;

/** The METADATA of one rule. */
export const annotationOf = (rule: Rule): Annotation | undefined =>
  rule.annotations?.find(({ scope }) => scope === 'rule' || scope === 'document');

/** A path with imports and names of the own package written out: `["data", "sallyport", "settings", …]`. */
export function fullPath(module: Module, path: (string | null)[]): (string | null)[] {
  const [first, ...rest] = path;
  if (first === 'data' || first === 'input') return path;
  const imported = module.imports.get(String(first));
  if (imported !== undefined) return ['data', ...imported.split('.'), ...rest];
  return module.names.has(String(first)) ? ['data', ...module.package.split('.'), ...path] : path;
}

/** A rule and where it stands. */
export interface Found {
  module: Module;
  rule: Rule;
}

/** The rules that a path names, in whichever module. */
export function rulesAt(modules: readonly Module[], path: (string | null)[]): Found[] {
  if (path[0] !== 'data') return [];
  return modules.flatMap((module) => {
    const parts = module.package.split('.');
    if (!parts.every((part, i) => path[i + 1] === part || path[i + 1] === null)) return [];
    const name = path[parts.length + 1];
    return module.rules.filter((rule) => name === null || nameOf(rule) === name).map((rule) => ({ module, rule }));
  });
}

/** What a rule is made of, without its own name: by that it would name the other rules of its set. */
export const contentOf = ({ head: { key, value, args, ref }, body, else: otherwise }: Rule): unknown[] => [
  ...[key, value, args, ref.slice(1), body],
  ...(otherwise ? [contentOf(otherwise)] : []),
];

/** The rules that a part of the tree names, with those that they name in turn, over all modules. */
export function reached(modules: readonly Module[], from: Module, part: unknown): Found[] {
  const found = new Map<Rule, Found>();
  const visit = (module: Module, inside: unknown) =>
    eachTerm(inside, (term) => {
      const path = pathOf(term);
      if (!path) return;
      for (const next of rulesAt(modules, fullPath(module, path))) {
        if (found.has(next.rule)) continue;
        found.set(next.rule, next);
        visit(next.module, contentOf(next.rule));
      }
    });
  visit(from, part);
  return [...found.values()];
}
