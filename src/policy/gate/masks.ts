// Masks, limits and hidden tools that rules of a site write out, against the tools and roles that there are.
import { absentIn } from '../configured.ts';
import { toolsNamed } from '../rego/conditions.ts';
import { lineOf, type Module, nameOf } from '../rego/modules.ts';
import { itemsOf, membersOf, type Rule, scalarOf, type Term } from '../rego/terms.ts';
import { literalsOf, objectsOf, resolve, valuesOf } from '../rego/values.ts';
import { nearest, type Report } from './finding.ts';
import type { ToolWords } from './vocabulary.ts';

export function checkMasks(
  modules: readonly Module[],
  tools: ReadonlyMap<string, ToolWords>,
  roles: ReadonlySet<string>,
  report: Report,
): void {
  for (const module of modules.filter(({ file }) => file.startsWith('site/')))
    for (const rule of module.rules) {
      const tell = (term: Term, message: string) =>
        report.error('mask', { file: module.file, row: term.location?.row ?? lineOf(rule) }, message);
      if (nameOf(rule) === 'visible') checkHidden(module, rule, tools, tell);
      for (const object of objectsOf(module, rule)) {
        const members = membersOf(object);
        for (const role of texts(module, rule, members?.get('except_roles')))
          if (!roles.has(role.text)) tell(role.term, `there is no role "${role.text}"${meant(role.text, roles)}`);
        for (const pointer of [
          ...texts(module, rule, members?.get('pointers')),
          ...texts(module, rule, members?.get('pointer')),
        ])
          for (const tool of toolsNamed(module, rule)) {
            const absent = absentIn(tools.get(tool)?.result, pointer.text);
            if (absent !== undefined) tell(pointer.term, `${tool}: ${absent}`);
          }
      }
    }
}

function checkHidden(
  module: Module,
  rule: Rule,
  tools: ReadonlyMap<string, ToolWords>,
  tell: (term: Term, message: string) => void,
): void {
  const { key } = rule.head;
  if (key?.type === 'object') tell(key, '"visible" is a set of names of tools, not of objects');
  for (const literal of literalsOf(module, rule, key)) {
    const name = String(scalarOf(literal));
    if (!tools.has(name)) tell(literal, `there is no tool "${name}"${meant(name, tools.keys())}`);
  }
}

const meant = (name: string, known: Iterable<string>): string => {
  const best = nearest(name, known);
  return best === undefined ? '' : `; did you mean "${best}"?`;
};

/** The texts of a list or of one text, through local names and constants. */
function texts(module: Module, rule: Rule, term: Term | undefined): { text: string; term: Term }[] {
  const value = resolve(rule, term);
  if (!value) return [];
  const constant =
    value.type === 'var' ? module.rules.filter((r) => nameOf(r) === value.value).flatMap(valuesOf) : [value];
  return constant.flatMap((one) => {
    const items = itemsOf(one) ?? [one];
    return items.flatMap((item) => {
      const text = scalarOf(item);
      return typeof text === 'string' ? [{ text, term: item }] : [];
    });
  });
}
