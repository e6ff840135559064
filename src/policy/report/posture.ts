// The posture of a policy in a few lines: which controls are off, and where. A data.yaml in which every control is set to
// "allow" is well-formed, and somebody should see it.
import type { Settings } from '../../decision/settings.ts';
import { isObject } from '../../formats/json.ts';

/** One control that is off. */
export interface Off {
  /** The setting, such as "binding.ip". */
  setting: string;
  /** What it says, in words. */
  value: string;
  /** For what it is off: "all", or "tool stock_get", "backend payroll". */
  where: string;
  /** Whether the shipped default says the same. */
  shipped: boolean;
}

const GROUPS = ['binding', 'lifetime', 'replay', 'usage'] as const;

/** Every control that is off, the general ones first. */
export function postureOf(settings: Settings, defaults: Settings): Off[] {
  const shipped = new Set(GROUPS.flatMap((group) => offIn(group, defaults[group]).map(([setting]) => setting)));
  const at = (where: string, groups: object): Off[] =>
    GROUPS.flatMap((group) =>
      offIn(group, (groups as Record<string, unknown>)[group]).map(([setting, value]) => ({
        setting,
        value,
        where,
        shipped: shipped.has(setting),
      })),
    );
  const named = (kind: string, table: Record<string, object> = {}): Off[] =>
    Object.entries(table).flatMap(([name, groups]) => at(`${kind} ${name}`, groups));
  const everything = Object.entries(settings.access.roles)
    .filter(([, { tools }]) => tools.includes('*'))
    .map(
      ([role]): Off => ({
        setting: 'access.roles',
        value: 'may call every tool',
        where: `role ${role}`,
        shipped: false,
      }),
    );
  return [
    ...at('all', settings),
    ...named('backend', settings.backends),
    ...named('tool', settings.tools),
    ...everything,
  ];
}

/** What of a group is off, with what it says. */
function offIn(path: string, value: unknown): [setting: string, value: string][] {
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, inner]): [string, string][] => {
    const setting = `${path}.${name}`;
    if (inner === 'allow') return [[setting, 'allow']];
    if (isObject(inner) && inner.grade === 'allow') return [[setting, 'allow']];
    if (setting === 'replay.revoke_on_other_network' && inner === false) return [[setting, 'false']];
    if (setting === 'replay.require_source_for' && Array.isArray(inner) && !inner.includes('destructive'))
      return [[setting, `without destructive`]];
    if (setting === 'binding.overlap_seconds' && inner === 0) return [[setting, '0']];
    return [];
  });
}

/** What `--strict` fails on: what is looser than the shipped policy. That a role may call every tool is told only. */
export const looser = (posture: readonly Off[]): Off[] =>
  posture.filter(({ shipped, setting }) => !shipped && setting !== 'access.roles');

/** The posture as lines: one for each place, with its controls. */
export function postureLines(posture: readonly Off[]): string[] {
  if (posture.length === 0) return ['posture: every control is on'];
  const places = new Map<string, string[]>();
  for (const { where, setting, value, shipped } of posture) {
    const text = setting === 'access.roles' ? value : `${setting} ${value}${shipped ? ' (shipped)' : ''}`;
    places.set(where, [...(places.get(where) ?? []), text]);
  }
  return [
    'posture: controls that are off',
    ...[...places].map(([where, texts]) => `  for ${where}: ${texts.join(', ')}`),
  ];
}
