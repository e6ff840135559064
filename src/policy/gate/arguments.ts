// Arguments that rules read, against the tools that have them.

import { toolsNamed } from '../rego/conditions.ts';
import { lineOf, type Module, nameOf } from '../rego/modules.ts';
import { eachCall, eachTerm, type Location, pathOf, type Rule, scalarOf } from '../rego/terms.ts';
import { givenBy, literalsOf } from '../rego/values.ts';
import type { Report } from './finding.ts';
import type { ToolWords } from './vocabulary.ts';

/**
 * Warns of an argument that a rule reads and that the tool's `audit` list lacks, because its decisions cannot be
 * reproduced from the record; and refuses a rule that compares an argument which may arrive as text with a number, where
 * no rule denies what is no number: in Rego each text sorts after each number, so such a rule fires for the wrong calls.
 */
export function checkArguments(
  modules: readonly Module[],
  tools: ReadonlyMap<string, ToolWords>,
  report: Report,
): void {
  for (const module of modules)
    for (const rule of module.rules) {
      const named = toolsNamed(module, rule);
      for (const [name, at] of argumentsOf(rule)) {
        const where = { file: module.file, row: at?.row ?? lineOf(rule) };
        const those = [...tools].filter(
          ([tool, words]) => words.arguments.has(name) && (named.length === 0 || named.includes(tool)),
        );
        const unlisted = those.filter(([, { audit }]) => !audit.has(name)).map(([tool]) => tool);
        if (unlisted.length > 0)
          report.warn(
            'arguments',
            where,
            `reads argument "${name}", which the audit list of ${unlisted.join(', ')} lacks: its decisions cannot be reproduced from the log`,
          );
        const large = those.filter(([, words]) => words.large.has(name)).map(([tool]) => tool);
        if (large.length > 0 && comparesNumber(rule, name) && !modules.some((other) => refusesText(other, name)))
          report.error(
            'arguments',
            where,
            `argument "${name}" of ${large.join(', ')} may arrive as text (format: int64), and each text sorts after each number: add a rule of grade "deny" with "not is_number(input.tool.arguments.${name})"`,
          );
      }
    }
}

function argumentsOf(rule: Rule): Map<string, Location | undefined> {
  const found = new Map<string, Location | undefined>();
  eachTerm([rule.head, rule.body, rule.else], (term) => {
    const [root, tool, table, name] = pathOf(term) ?? [];
    if (term.type === 'ref' && root === 'input' && tool === 'tool' && table === 'arguments' && typeof name === 'string')
      found.set(name, term.location);
  });
  return found;
}

const ORDER = new Set(['lt', 'lte', 'gt', 'gte', 'plus', 'minus', 'mul', 'div']);

function comparesNumber(rule: Rule, name: string): boolean {
  let found = false;
  eachCall([rule.head, rule.body, rule.else], ({ name: operator, args }) => {
    if (!ORDER.has(operator)) return;
    const reads = args.some((arg) => pathOf(arg)?.join('.') === `input.tool.arguments.${name}` || arg.type === 'var');
    if (reads) found = true;
  });
  return found;
}

/** Whether a rule of the module denies when the argument is no number. */
function refusesText(module: Module, name: string): boolean {
  return module.rules.some((rule) => {
    const denies = givenBy(module, rule).some(({ grade }) =>
      literalsOf(module, rule, grade).some((g) => scalarOf(g) === 'deny'),
    );
    if (!denies || nameOf(rule) !== 'findings') return false;
    return rule.body.some(({ negated, terms }) => {
      if (!negated || !Array.isArray(terms)) return false;
      const [operator, argument] = terms;
      return (
        operator !== undefined &&
        argument !== undefined &&
        pathOf(operator)?.join('.') === 'is_number' &&
        pathOf(argument)?.join('.') === `input.tool.arguments.${name}`
      );
    });
  });
}
