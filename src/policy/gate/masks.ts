// Masks that rules of a site write out, against the output schemas of the tools that the rules name.
import { absentIn } from '../configured.ts';
import { toolsNamed } from '../rego/conditions.ts';
import { lineOf, type Module, nameOf } from '../rego/modules.ts';
import { itemsOf, membersOf, scalarOf } from '../rego/terms.ts';
import { objectsOf, resolve } from '../rego/values.ts';
import type { Report } from './finding.ts';
import type { ToolWords } from './vocabulary.ts';

export function checkMasks(modules: readonly Module[], tools: ReadonlyMap<string, ToolWords>, report: Report): void {
  for (const module of modules)
    for (const rule of module.rules.filter((r) => nameOf(r) === 'masks'))
      for (const object of objectsOf(module, rule)) {
        const list = resolve(rule, membersOf(object)?.get('pointers'));
        for (const item of (list && itemsOf(list)) ?? []) {
          const pointer = scalarOf(item);
          if (typeof pointer !== 'string') continue;
          for (const tool of toolsNamed(rule)) {
            const absent = absentIn(tools.get(tool)?.result, pointer);
            if (absent !== undefined)
              report.error(
                'mask',
                { file: module.file, row: item.location?.row ?? lineOf(rule) },
                `${tool}: ${absent}`,
              );
          }
        }
      }
}
