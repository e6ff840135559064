// The tools that a matrix is about. A policy does not know what tools there are; connector.yaml does, the matrix in the folder
// does, and failing both the cases and settings name some.
import type { DecisionInput } from '../../decision/schema.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import type { DecisionCase } from '../cases.ts';
import type { MatrixTool } from './ordinary.ts';

/** Of tools with the same name, the first is taken. */
export function unionOf(...lists: readonly (readonly MatrixTool[])[]): MatrixTool[] {
  const found = new Map<string, MatrixTool>();
  for (const tool of lists.flat()) if (!found.has(tool.name)) found.set(tool.name, tool);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What a matrix is about: the tools that are known, and those that settings name besides. */
export const toolsOf = (
  known: readonly MatrixTool[],
  settings: LoadedSettings,
  called: readonly MatrixTool[] = [],
): MatrixTool[] => unionOf(known, toolsInSettings(settings, called));

/** The tools of a configuration. */
export const toolsConfigured = (
  tools: Readonly<Record<string, { backend: string; effect: DecisionInput['tool']['effect'] }>>,
): MatrixTool[] => Object.entries(tools).map(([name, { backend, effect }]) => ({ name, backend, effect }));

/** The tools that cases call. */
export const toolsInCases = (cases: readonly Pick<DecisionCase, 'input'>[]): MatrixTool[] =>
  unionOf(cases.map(({ input: { tool } }) => ({ name: tool.name, backend: tool.backend, effect: tool.effect })));

/** The tools that settings name. What one does is known where a case calls it; else the worst is taken. */
function toolsInSettings({ access, tools }: LoadedSettings, called: readonly MatrixTool[] = []): MatrixTool[] {
  const listed = Object.values(access.roles).flatMap((role) => role.tools.filter((name) => name !== '*'));
  const names = new Set([
    ...listed,
    ...Object.keys(access.scopes),
    ...Object.keys(access.masks),
    ...Object.keys(tools),
  ]);
  const known = new Map(called.map((tool) => [tool.name, tool]));
  return [...names].sort().map((name) => known.get(name) ?? { name, backend: '', effect: 'destructive' });
}
