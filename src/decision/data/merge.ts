// Merges the settings when they are loaded, so that a call only looks up what holds for it: merging objects is slow in
// WebAssembly, and OPA can type a fixed path. The order is shipped default, data.yaml, backend, tool; a role comes in
// addition, because a rule asks the settings of each role besides.
import { canonicalJson, isObject } from '../../formats/json.ts';
import { GROUPS, type Group, type LoadedSettings, type Settings, type Where } from '../settings.ts';

/** More combinations of roles, backends and tools with overrides than these are refused: each needs memory. */
export const MAX_COMBINATIONS = 5_000;

/** Merges `changes` into `base`: objects key by key, anything else replaces. Neither is changed. */
export function merge(base: unknown, changes: unknown): unknown {
  if (changes === undefined) return base;
  if (!isObject(base) || !isObject(changes)) return changes;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const own = Object.hasOwn(base, key) ? base[key] : undefined;
    Object.defineProperty(merged, key, {
      value: merge(own, value),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return merged;
}

/** How many combinations of overrides the settings have. */
export const combinations = ({ backends, tools, roles = {} }: Settings): number =>
  [roles, backends, tools].reduce((product, table) => product * (Object.keys(table).length + 1), 1);

/** Adds to the settings what the policy looks up. */
export function withMerged(settings: Settings): LoadedSettings {
  const variants = Object.fromEntries(GROUPS.map((group) => [group, createVariants()])) as Record<Group, Variants>;
  const table = <T>(names: object, value: (name: string) => T): Record<string, T> =>
    Object.fromEntries(['', ...Object.keys(names)].map((name) => [name, value(name)]));
  const { backends, tools, roles = {} } = settings;
  const at = table(roles, (role) =>
    table(backends, (backend) =>
      table(tools, (tool) => {
        const layers = [own(backends, backend), own(tools, tool), own(roles, role)];
        const where = (group: Group) =>
          variants[group].place(
            layers.reduce<unknown>((below, layer) => merge(below, layer?.[group]), settings[group] ?? {}),
          );
        return Object.fromEntries(GROUPS.map((group) => [group, where(group)])) as Where;
      }),
    ),
  );
  const groups = Object.fromEntries(GROUPS.map((group) => [group, variants[group].values]));
  return { ...settings, merged: { ...groups, at, tools: toolsByRole(settings) } } as LoadedSettings;
}

/** The lists of `access.roles` as tables, so that a role with 700 tools costs a call no more than one with three. */
const toolsByRole = ({ access }: Settings): Record<string, Record<string, true>> =>
  Object.fromEntries(
    Object.entries(access.roles).map(([role, { tools }]) => [
      role,
      Object.fromEntries(tools.map((tool) => [tool, true as const])),
    ]),
  );

type Layer = { [K in Group]?: unknown };

const own = (table: Record<string, Layer>, name: string): Layer | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

interface Variants {
  readonly values: unknown[];
  /** Where the value stands among the values, to which it is added when it is new. */
  place(value: unknown): number;
}

function createVariants(): Variants {
  const values: unknown[] = [];
  const known = new Map<string, number>();
  return {
    values,
    place(value) {
      const text = canonicalJson(value);
      const found = known.get(text);
      if (found !== undefined) return found;
      known.set(text, values.length);
      return values.push(value) - 1;
    },
  };
}
