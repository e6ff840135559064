// What is not there when a rule is asked: a fact that the input leaves out, a setting that data.yaml does not have. In
// Rego a rule that reads one is left out without a word.
import type { SettingsFile } from '../../decision/settings.ts';
import { isObject } from '../../formats/json.ts';
import { inputPaths, settingsRead } from '../rego/conditions.ts';
import { lineOf, type Module, nameOf, reached } from '../rego/modules.ts';
import { eachTerm, pathOf, type Rule, type Term } from '../rego/terms.ts';
import type { Report } from './finding.ts';
import type { Schema } from './vocabulary.ts';

const GIVING = new Set(['findings', 'allow', 'masks', 'limits']);

/** Checks the heads of the rules that give something: a parameter that is missing would take the finding with it. */
export function checkHeads(modules: readonly Module[], schema: Schema, report: Report): void {
  for (const module of modules)
    for (const rule of module.rules.filter((r) => GIVING.has(nameOf(r)))) {
      const required = requiredBy(modules, module, rule);
      eachTerm(rule.head.key, (term: Term) => {
        const path = term.type === 'ref' ? pathOf(term) : undefined;
        if (path?.[0] !== 'input') return;
        const missing = missingPart(schema, path);
        if (
          !missing ||
          required.some((known) => missing.every((part, i) => known[i] === part) && known.length >= missing.length)
        )
          return;
        report.error(
          'vocabulary',
          { file: module.file, row: term.location?.row ?? lineOf(rule) },
          `where ${path.join('.')} is missing, this rule is left out as a whole: name it in the body, or use object.get with a default`,
        );
      });
    }
}

/** The paths that must be there for the body to hold, also in the rules that it asks. */
function requiredBy(modules: readonly Module[], module: Module, rule: Rule): (string | null)[][] {
  const paths: (string | null)[][] = [];
  const read = (inside: Rule) => {
    for (const expression of inside.body)
      if (!expression.negated)
        eachTerm(expression, (term) => {
          if (term.type === 'ref') paths.push(...inputPaths(inside, term));
        });
  };
  read(rule);
  for (const found of reached(
    modules,
    module,
    rule.body.filter(({ negated }) => !negated),
  ))
    read(found.rule);
  return paths;
}

/** The beginning of a path that an input may leave out; undefined where all of it is always there. */
function missingPart(schema: Schema, path: (string | null)[]): (string | null)[] | undefined {
  let at: Schema | undefined = schema;
  for (let i = 1; i < path.length; i++) {
    const part = path[i] as string | null;
    // Below a null there is nothing.
    if (at && [at.type ?? []].flat().includes('null')) return path.slice(0, i + 1);
    const inner: Schema | undefined = part === null ? at?.items : at?.properties?.[part];
    if (!inner || (part !== null && !at?.required?.includes(part))) return path.slice(0, i + 1);
    at = inner;
  }
  return undefined;
}

/** Checks that data.yaml has every setting that a rule of the site reads, wherever overrides change it. */
export function checkSettings(
  modules: readonly Module[],
  { settings, lineOf: lineAt }: SettingsFile,
  report: Report,
): void {
  const asked = new Set<string>();
  for (const module of modules)
    for (const rule of module.rules) {
      for (const read of settingsRead(module, rule)) {
        const [group, ...rest] = read.path;
        if (read.asked) asked.add(read.path.join('.'));
        if (group !== 'site' || !module.file.startsWith('site/') || rest.length === 0) continue;
        if (settings.merged.site.every((site) => has(site, rest))) continue;
        report.error(
          'settings',
          { file: module.file, row: read.location?.row ?? lineOf(rule) },
          `settings.${read.path.join('.')} is not set in data.yaml${settings.merged.site.some((site) => has(site, rest)) ? ' for all backends and tools' : ''}, and a rule that reads it is left out`,
        );
      }
    }
  for (const [role, { site }] of Object.entries(settings.roles ?? {}))
    for (const key of Object.keys(site ?? {}))
      if (![...asked].some((path) => path === `site.${key}` || path.startsWith(`site.${key}.`) || path === 'site'))
        report.error(
          'settings',
          { file: 'data.yaml', row: lineAt(['settings', 'roles', role, 'site', key]) },
          `settings.roles.${role}.site.${key} has no effect: no rule asks it for roles (some each in settings.asked; each.site.${key})`,
        );
}

function has(value: unknown, [part, ...rest]: string[]): boolean {
  if (part === undefined) return value !== undefined;
  return isObject(value) && Object.hasOwn(value, part) && has(value[part], rest);
}
