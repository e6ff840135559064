// The catalogue of a policy: each code that a decision or the connector can give, with what it means, the controls that it serves,
// the settings it asks and the tests that make it fire. What an auditor files.
import { REFUSALS } from '../../decision/refusal-codes.ts';
import { settingsAsked } from '../rego/conditions.ts';
import { annotationOf, contentOf, lineOf, type Module, nameOf, reached } from '../rego/modules.ts';
import { type ReasonRule, reasonRules } from '../rego/reasons.ts';

/** One code. */
export interface CatalogueEntry {
  code: string;
  /** Who gives it: a shipped rule, one of the site, or the connector by itself. */
  by: 'shipped' | 'site' | 'connector';
  titles: string[];
  descriptions: string[];
  controls: string[];
  /** Paths of settings, such as "lifetime.token_age". */
  settings: string[];
  /** Where its rules stand, as "file:line". */
  rules: string[];
  /** Tests, cases and sequences that make it fire. */
  tests: string[];
}

/** `firing`: the names of what makes a code fire. Sorted by code, those of the connector last. */
export function catalogueOf(
  modules: readonly Module[],
  firing: ReadonlyMap<string, readonly string[]>,
): CatalogueEntry[] {
  const byCode = new Map<string, ReasonRule[]>();
  for (const rule of reasonRules(modules)) byCode.set(rule.code, [...(byCode.get(rule.code) ?? []), rule]);
  const ours = [...byCode]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, rules]) => entryOf(modules, code, rules, firing.get(code) ?? []));
  const connector = Object.entries(REFUSALS).map(
    ([code, text]): CatalogueEntry => ({
      ...{ code, by: 'connector', titles: [text], descriptions: [], controls: [], settings: [], rules: [], tests: [] },
    }),
  );
  return [...ours, ...connector.sort((a, b) => (a.code < b.code ? -1 : 1))];
}

function entryOf(
  modules: readonly Module[],
  code: string,
  rules: readonly ReasonRule[],
  tests: readonly string[],
): CatalogueEntry {
  const annotations = rules.map(({ rule }) => annotationOf(rule));
  const texts = (pick: 'title' | 'description') =>
    annotations.flatMap((each) => (each?.[pick] ? [each[pick].trim()] : []));
  const controls = annotations.flatMap((each) =>
    Array.isArray(each?.custom?.controls) ? each.custom.controls.map(String) : [],
  );
  return {
    ...{ code, by: rules.every(({ module }) => module.file.startsWith('site/')) ? 'site' : 'shipped' },
    titles: unique(texts('title')),
    descriptions: unique(texts('description')),
    controls: unique(controls).sort(),
    settings: unique(rules.flatMap((rule) => settingsOf(modules, rule))).sort(),
    rules: rules.map(({ module, rule }) => `${module.file}:${lineOf(rule)}`),
    tests: [...tests].sort(),
  };
}

/** The settings that a rule asks, also through its helpers. A limit is one setting with its grade. */
function settingsOf(modules: readonly Module[], { module, rule }: ReasonRule): string[] {
  // These look at what all other rules give, and ask nothing themselves.
  if (nameOf(rule) === 'faults') return [];
  const all = [{ module, rule }, ...reached(modules, module, contentOf(rule))].filter(
    (each) => each.module.package !== 'sallyport.settings',
  );
  const asked = all.flatMap((each) => settingsAsked(each.module, each.rule, '<tool>', ['<role>']));
  return asked.map((path) => (path[0] === 'access' ? path : path.slice(0, 2)).join('.'));
}

const unique = (texts: readonly string[]): string[] => [...new Set(texts)];
