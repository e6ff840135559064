// Finds names in data.yaml that nothing defines. A mask or a scope for a misspelt tool would be a control that is
// silently missing, so the connector does not start with one.
import type { Config } from '../config/load.ts';
import { OperatorError } from '../core/errors.ts';
import type { Settings, SettingsFile } from '../decision/settings.ts';
import { formatProblem, type Problem } from '../formats/yaml/yaml.ts';
import { absentMasks, configuredNames } from './configured.ts';

/** The tools and backends that connector.yaml defines. */
export interface KnownNames {
  tools: ReadonlySet<string>;
  backends: ReadonlySet<string>;
  /** Receivers of alerts; undefined where nobody knows them. */
  receivers?: ReadonlySet<string>;
}

/** Every tool, backend or role that data.yaml names but nothing defines, with its line. */
export function unknownNames(
  settings: Settings,
  known: KnownNames,
  file: string,
  lineOf: (path: PropertyKey[]) => number,
): Problem[] {
  const problems: Problem[] = [];
  const expect = (path: PropertyKey[], name: string, names: ReadonlySet<string>, kind: string) => {
    if (names.has(name)) return;
    const message = `no ${kind} "${name}"; correct the name, or set policy.allow_unknown_names when other connectors share this folder`;
    problems.push({
      file,
      line: lineOf(['settings', ...path]),
      path: ['settings', ...path].map(String).join('.'),
      message,
    });
  };
  const { access, backends, tools, roles: overrides } = settings;
  for (const [role, { tools: listed }] of Object.entries(access.roles)) {
    listed.forEach((tool, i) => {
      if (tool !== '*') expect(['access', 'roles', role, 'tools', i], tool, known.tools, 'tool');
    });
  }
  const roles = new Set(Object.keys(access.roles));
  for (const role of Object.keys(access.networks ?? {})) expect(['access', 'networks', role], role, roles, 'role');
  for (const tool of Object.keys(access.scopes)) expect(['access', 'scopes', tool], tool, known.tools, 'tool');
  for (const [tool, { except_roles }] of Object.entries(access.masks)) {
    expect(['access', 'masks', tool], tool, known.tools, 'tool');
    except_roles.forEach((role, i) => {
      expect(['access', 'masks', tool, 'except_roles', i], role, roles, 'role');
    });
  }
  for (const backend of Object.keys(backends)) expect(['backends', backend], backend, known.backends, 'backend');
  for (const tool of Object.keys(tools)) expect(['tools', tool], tool, known.tools, 'tool');
  for (const role of Object.keys(overrides ?? {})) expect(['roles', role], role, roles, 'role');
  const { receivers } = known;
  settings.alerts.routes.forEach(({ to }, i) => {
    to.forEach((name, j) => {
      if (receivers && name !== '*')
        expect(['alerts', 'routes', i, 'to', j], name, receivers, 'receiver under "alerts" of connector.yaml');
    });
  });
  return problems;
}

/** Masks of data.yaml that meet nothing in the results that the configuration describes, with their lines. */
export function hollowMasks(
  { settings, file, lineOf }: SettingsFile,
  config: Pick<Config, 'tools' | 'backends'>,
): Problem[] {
  return absentMasks(settings, configuredNames(config)).map(({ path, message }) => {
    const full = ['settings', ...path];
    return { file, line: lineOf(full), path: full.map(String).join('.'), message };
  });
}

/** Throws one OperatorError that lists every such name. */
export function refuseUnknownNames({ settings, file, lineOf }: SettingsFile, known: KnownNames): void {
  const problems = unknownNames(settings, known, file, lineOf);
  if (problems.length > 0) throw new OperatorError(problems.map(formatProblem).join('\n'));
}

/**
 * The check of data.yaml against a configuration, at start. It finds nothing where other connectors share the policy
 * folder (`policy.allow_unknown_names`). `onUnlisted` is told of each tool that nobody can call.
 */
export function settingsCheck(config: Config, onUnlisted: (tool: string) => void): (settings: SettingsFile) => void {
  const known = {
    tools: new Set(Object.keys(config.tools)),
    backends: new Set(Object.keys(config.backends)),
    receivers: new Set(Object.keys(config.alerts.receivers)),
  };
  return (file) => {
    if (!config.policy.allow_unknown_names) refuseUnknownNames(file, known);
    const hollow = hollowMasks(file, config);
    if (hollow.length > 0) throw new OperatorError(hollow.map(formatProblem).join('\n'));
    for (const tool of unlistedTools(file.settings, known.tools)) onUnlisted(tool);
  };
}

/** The tools that no role lists, so nobody can call them. */
export function unlistedTools({ access }: Settings, tools: Iterable<string>): string[] {
  const listed = new Set(Object.values(access.roles).flatMap((role) => role.tools));
  return listed.has('*') ? [] : [...tools].filter((tool) => !listed.has(tool));
}
