// The rules that a change of a policy adds, removes or changes, by what they are for: their reason, title and controls.
import { canonicalJson } from '../../formats/json.ts';
import { annotationOf, contentOf, type Found, isSet, lineOf, type Module, nameOf, reached } from '../rego/modules.ts';
import { isTerm, type Rule } from '../rego/terms.ts';

/** One rule, or all that have the same reason in a package. */
export interface RuleChange {
  change: 'added' | 'removed' | 'changed';
  /** "rule" has a reason of its own; a helper is asked by others. */
  kind: 'rule' | 'helper';
  package: string;
  name: string;
  /** Reason code; undefined for a helper. */
  code: string | undefined;
  title: string | undefined;
  controls: string[];
  /** Of a changed rule: its text, or only what METADATA says of it. Of a helper, the codes of the rules that ask it. */
  what: 'text' | 'metadata';
  affects: string[];
  file: string;
  line: number;
}

interface Named {
  kind: RuleChange['kind'];
  package: string;
  name: string;
  code: string | undefined;
  found: Found[];
}

/** In the order of packages. Only what decides is compared: places and comments are left aside. */
export function ruleChanges(before: readonly Module[], after: readonly Module[]): RuleChange[] {
  const [was, is] = [named(before), named(after)];
  const keys = [...new Set([...was.keys(), ...is.keys()])].sort();
  return keys.flatMap((key): RuleChange[] => {
    const [old, fresh] = [was.get(key), is.get(key)];
    const change = old === undefined ? 'added' : fresh === undefined ? 'removed' : 'changed';
    const shown = (fresh ?? old) as Named;
    const sameText = old && fresh && textOf(old) === textOf(fresh);
    if (sameText && metadataOf(old) === metadataOf(fresh)) return [];
    const [first] = shown.found as [Found, ...Found[]];
    const annotations = shown.found.map(({ rule }) => annotationOf(rule));
    const controls = annotations.flatMap((each) =>
      Array.isArray(each?.custom?.controls) ? each.custom.controls.map(String) : [],
    );
    return [
      {
        ...{ change, kind: shown.kind, package: shown.package, name: shown.name, code: shown.code },
        title: annotations.map((each) => each?.title).find((title) => title !== undefined),
        controls: [...new Set(controls)].sort(),
        what: sameText ? 'metadata' : 'text',
        affects: shown.kind === 'helper' ? askedBy(fresh ? after : before, shown) : [],
        ...{ file: first.module.file, line: lineOf(first.rule) },
      },
    ];
  });
}

function named(modules: readonly Module[]): Map<string, Named> {
  const all = new Map<string, Named>();
  for (const module of modules)
    for (const rule of module.rules) {
      const reason = annotationOf(rule)?.custom?.reason;
      const code = typeof reason === 'string' ? reason : undefined;
      // A rule of a set without METADATA belongs to the site's masks, limits and the like: it stands for itself.
      const kind = code === undefined && !(isSet(rule) && SETS.includes(nameOf(rule))) ? 'helper' : 'rule';
      const of = { kind, package: module.package, name: nameOf(rule), code } as const;
      const key = [of.package, of.name, of.code ?? ''].join(' ');
      const known = all.get(key) ?? { ...of, found: [] };
      known.found.push({ module, rule });
      all.set(key, known);
    }
  return all;
}

/** What the hook asks a package of a site for. */
const SETS = ['findings', 'allow', 'masks', 'limits', 'visible'];

const textOf = ({ found }: Named): string =>
  found
    .map(({ module, rule }) => ruleText(module, rule))
    .sort()
    .join('\n');

/** The syntax tree without the places in it, without METADATA, and with imports written out. */
function ruleText(module: Module, { head, body, default: isDefault, else: otherwise }: Rule): string {
  const bare = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(bare);
    if (typeof value !== 'object' || value === null) return value;
    // A short name is what it stands for: the same text can mean another package.
    if (isTerm(value) && value.type === 'var' && module.imports.has(String(value.value)))
      return `import ${module.imports.get(String(value.value))}`;
    const kept = Object.entries(value).filter(
      ([key]) => key !== 'location' && key !== 'annotations' && key !== 'comments',
    );
    return Object.fromEntries(kept.map(([key, inner]) => [key, bare(inner)]));
  };
  return canonicalJson(bare([head, body, isDefault ?? false, otherwise ?? null]));
}

const metadataOf = ({ found }: Named): string =>
  canonicalJson(
    found.map(({ rule }) => {
      const { title, description, custom } = annotationOf(rule) ?? {};
      return [title ?? null, description ?? null, custom ?? null];
    }),
  );

/** The codes of the rules that ask a helper, also through others. */
function askedBy(modules: readonly Module[], helper: Named): string[] {
  const rules = new Set(helper.found.map(({ rule }) => rule));
  const codes = modules.flatMap((module) =>
    module.rules.flatMap((rule): string[] => {
      const reason = annotationOf(rule)?.custom?.reason;
      // What judges the findings of all rules is affected by none in particular.
      if (typeof reason !== 'string' || nameOf(rule) === 'faults') return [];
      return reached(modules, module, contentOf(rule)).some((found) => rules.has(found.rule)) ? [reason] : [];
    }),
  );
  return [...new Set(codes)].sort();
}
