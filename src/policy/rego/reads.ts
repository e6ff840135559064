// What of the input the rules of a policy read. Too much rather than too little: what a record no longer holds, and a rule may
// read, makes its decision undecidable.
import type { Module } from './modules.ts';
import { eachTerm, pathOf } from './terms.ts';

/**
 * The paths below `input` that rules read, such as "client.roles", sorted; a path stands for all below it. "" is the input as a
 * whole. Arguments are one path here: `argumentsRead` tells them apart.
 */
export function inputRead(modules: readonly Module[]): string[] {
  const found = new Set<string>();
  for (const module of modules)
    for (const { head, body, else: otherwise } of module.rules)
      eachTerm([head, body, otherwise], (term) => {
        const [root, ...rest] = pathOf(term) ?? [];
        if (root !== 'input') return;
        const computed = rest.indexOf(null);
        const path = computed === -1 ? rest : rest.slice(0, computed);
        const parts = path[0] === 'tool' && path[1] === 'arguments' ? path.slice(0, 2) : path;
        found.add(parts.join('.'));
      });
  const all = [...found].sort();
  return all.filter((path) => !all.some((other) => other !== path && (other === '' || path.startsWith(`${other}.`))));
}
