// Reachability: a rule that nothing makes fire may be one that never can. Each rule with a reason, and each rule of the
// site, is made to fire by a case or by a Rego test that asks an entrypoint.
import type { Module } from '../rego/modules.ts';
import { annotationOf, fullPath, lineOf, nameOf, rulesAt } from '../rego/modules.ts';
import { eachTerm, type Location, pathOf, type Rule } from '../rego/terms.ts';
import type { Covered } from '../run/cases.ts';
import type { Report } from './finding.ts';

/** Checks that the rules fired. `covered` is what cases and tests through an entrypoint have evaluated. */
export function checkReach(modules: readonly Module[], covered: readonly Covered[], report: Report): void {
  const fired = (file: string, { head }: Rule): boolean => {
    const at = head.location as (Location & { col?: number }) | undefined;
    return covered.some((run) => run.get(file)?.has(`${at?.row}:${at?.col}`));
  };
  for (const module of modules) {
    const rules = module.rules.filter((rule) => !rule.default);
    const described = rules.some((rule) => annotationOf(rule)?.custom?.reason !== undefined);
    const dead = rules.length > 0 && !rules.some((rule) => fired(module.file, rule));
    if (dead && !(described && module.file.startsWith('site/'))) {
      report.error(
        'reach',
        { file: module.file, row: module.line },
        `no rule of this file fires in any case or test through an entrypoint${module.file.startsWith('site/') ? '' : ': no rule that decides asks for it'}; a control that never fires is none`,
      );
      continue;
    }
    for (const rule of rules) {
      const at = { file: module.file, row: lineOf(rule) };
      const reason = annotationOf(rule)?.custom?.reason;
      if (reason !== undefined && !fired(module.file, rule))
        report.error(
          'reach',
          at,
          `no case or test makes this rule fire through an entrypoint (reason "${reason}"): add a case, or mend the condition that never holds${module.file.startsWith('site/') ? '' : '; rules of your own belong in site/, since the shipped ones are not asked where sallyport.quiet.call holds'}`,
        );
      else if (module.file.startsWith('site/'))
        for (const branch of branchesOf(rule))
          if (!fired(module.file, branch))
            report.error(
              'reach',
              { file: module.file, row: lineOf(branch) || at.row },
              `no case or test makes "${nameOf(rule)}" hold here: add a case, or mend the condition that never holds`,
            );
    }
  }
}

const branchesOf = (rule: Rule): Rule[] => [rule, ...(rule.else ? branchesOf(rule.else) : [])];

/**
 * The names of the tests that ask an entrypoint and no other rule, as a pattern for `opa test --run`; undefined when
 * there is none. A test that asks a package directly proves nothing about what decides.
 */
export function entrypointTests(tests: readonly Module[]): string | undefined {
  const asks = new Map<Rule, { entry: boolean; other: boolean }>();
  for (const module of tests) for (const rule of module.rules) asks.set(rule, asked(tests, module, rule));
  const names = tests.flatMap((module) =>
    module.rules.flatMap((rule): string[] => {
      if (!nameOf(rule).startsWith('test_')) return [];
      const all = [rule, ...helpersOf(module, rule)].map((r) => asks.get(r));
      return all.some((a) => a?.entry) && !all.some((a) => a?.other) ? [`data.${module.package}.${nameOf(rule)}`] : [];
    }),
  );
  return names.length === 0 ? undefined : `^(${names.map((name) => name.replaceAll('.', '\\.')).join('|')})$`;
}

function asked(tests: readonly Module[], module: Module, rule: Rule): { entry: boolean; other: boolean } {
  let [entry, other] = [false, false];
  eachTerm([rule.head, rule.body, rule.else], (term) => {
    const path = fullPath(module, pathOf(term) ?? []);
    const [root, first, second] = path;
    if (root !== 'data' || rulesAt(tests, path).length > 0) return;
    if (first === 'sallyport' && (second === 'decision' || second === 'visible')) entry = true;
    else if ((first === 'sallyport' && second !== undefined) || (first === 'site' && second !== undefined))
      other = true;
  });
  return { entry, other };
}

function helpersOf(module: Module, rule: Rule): Rule[] {
  const found = new Set<Rule>();
  const visit = (part: Rule) =>
    eachTerm([part.head, part.body, part.else], (term) => {
      const [first] = pathOf(term) ?? [];
      for (const next of module.rules) {
        if (nameOf(next) !== first || found.has(next) || next === rule) continue;
        found.add(next);
        visit(next);
      }
    });
  visit(rule);
  return [...found];
}
