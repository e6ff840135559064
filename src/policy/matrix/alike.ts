// Tools that no policy can tell apart need be asked about only once: those of one backend with one effect, in the lists of the same
// roles, whose names stand nowhere else in settings or rules.
import type { LoadedSettings } from '../../decision/settings.ts';
import { isObject } from '../../formats/json.ts';
import type { Module } from '../rego/modules.ts';
import { eachCall, eachTerm, pathOf, scalarOf, type Term } from '../rego/terms.ts';
import type { MatrixTool } from './ordinary.ts';

/** A text that two tools share exactly when they are alike. Without the rules, or where one computes with names, none are. */
export function alikeness(
  settings: LoadedSettings,
  modules: readonly Module[] | undefined,
): (tool: MatrixTool) => string {
  if (!modules || modules.some(computesWithNames)) return ({ name }) => name;
  const { access, merged: _merged, ...rest } = settings;
  const { roles, ...others } = access;
  const named = new Set<string>();
  collect([rest, others], named);
  for (const { rules } of modules)
    eachTerm(rules, (term) => {
      const value = scalarOf(term);
      if (typeof value === 'string') named.add(value);
    });
  const lists = Object.entries(roles).map(([role, { tools }]) => [role, new Set(tools)] as const);
  return ({ name, backend, effect }) => {
    const listing = lists.filter(([, tools]) => tools.has(name)).map(([role]) => role);
    return JSON.stringify([backend, effect, listing, named.has(name) ? name : null]);
  };
}

/** Keys and texts of settings. */
function collect(value: unknown, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  else if (Array.isArray(value)) for (const item of value) collect(item, into);
  else if (isObject(value))
    for (const [key, inner] of Object.entries(value)) {
      into.add(key);
      collect(inner, into);
    }
}

const COMPARES = ['eq', 'neq', 'equal', 'internal.member_2'];

/** The shipped rules look names up. A rule of the site may only compare them. */
function computesWithNames({ file, rules }: Module): boolean {
  if (!file.startsWith('site/')) return false;
  let [seen, compared, otherwise] = [0, 0, false];
  eachTerm(rules, (term) => {
    const path = pathOf(term);
    if (path?.join('.') === 'input.tool.name') seen += 1;
    else if (
      path?.[0] === 'input' &&
      (path.length === 1 || path[1] === null || (path[1] === 'tool' && (path.length === 2 || path[2] === null)))
    )
      otherwise = true;
    else if (path?.includes('settings') && path.at(-1) === 'tool') otherwise = true;
  });
  eachCall(rules, ({ name, args }) => {
    if (COMPARES.includes(name)) compared += args.filter(isName).length;
  });
  return otherwise || seen !== compared;
}

const isName = (term: Term): boolean => pathOf(term)?.join('.') === 'input.tool.name';
