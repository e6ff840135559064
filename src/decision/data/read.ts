// Reads data.yaml over the shipped defaults. Every problem is reported at once, with file and line.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, OperatorError } from '../../core/errors.ts';
import type { JsonObject } from '../../formats/json.ts';
import { formatProblem, type Problem, parseYaml } from '../../formats/yaml/yaml.ts';
import {
  type LoadedSettings,
  type Settings,
  type SettingsFile,
  settingsFileSchema,
  settingsSchema,
  type WrittenSettings,
} from '../settings.ts';
import { combinations, MAX_COMBINATIONS, merge, withMerged } from './merge.ts';
import { PACKAGED, type PolicyPaths, shown } from './paths.ts';
import { looserForRoles } from './roles.ts';
import { readSiteSchema, siteViolations, type Violation } from './site-settings.ts';

const DEFAULTS = join('sallyport', 'defaults.yaml');

/**
 * Reads data.yaml of a policy. Throws one OperatorError that lists every problem with file and line.
 */
export function readSettingsAt(paths: PolicyPaths): SettingsFile {
  const path = join(paths.dir, 'data.yaml');
  if (!existsSync(path))
    throw new OperatorError(
      `${path} is missing: a policy folder holds data.yaml, and site/*.rego where it has rules of its own`,
    );
  const file = shown(path);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new OperatorError(`${file} cannot be read: ${messageOf(thrown)}`);
  }
  const parsed = parseYaml(text, z.strictObject({ settings: settingsFileSchema }), { file });
  if (!parsed.ok) throw new OperatorError(parsed.problems.map(formatProblem).join('\n'));
  const result = completeSettings(parsed.value.settings, paths);
  if (!result.ok)
    throw new OperatorError(
      result.violations
        .map(({ path: at, message }): Problem => {
          const full = ['settings', ...at];
          return { file, line: parsed.at(full), path: full.map(String).join('.'), message };
        })
        .map(formatProblem)
        .join('\n'),
    );
  return { settings: result.settings, file, lineOf: parsed.at };
}

/** The settings with defaults and merged, or what is wrong with them as a whole. */
export type Completed = { ok: true; settings: LoadedSettings } | { ok: false; violations: Violation[] };

/** Adds the shipped defaults to what a file says, checks what can only be seen then, and merges the overrides. */
export function completeSettings(written: WrittenSettings, paths: PolicyPaths): Completed {
  const schema = readSiteSchema(paths);
  const settings = merge(shippedDefaults(paths), written) as Settings;
  const number = combinations(settings);
  if (number > MAX_COMBINATIONS)
    return {
      ok: false,
      violations: [
        {
          path: [],
          message: `${number} combinations of roles, backends and tools with overrides; ${MAX_COMBINATIONS} are the most. Give fewer tools overrides of their own`,
        },
      ],
    };
  const violations = [...siteProblems(settings, schema), ...looserForRoles(settings, schema)];
  return violations.length > 0 ? { ok: false, violations } : { ok: true, settings: withMerged(settings) };
}

/** The settings that hold where data.yaml says nothing. A folder of an older version has no file of them. */
export function shippedDefaults({ shipped }: PolicyPaths): Settings {
  const own = join(shipped, DEFAULTS);
  const path = existsSync(own) ? own : join(PACKAGED, DEFAULTS);
  const parsed = parseYaml(readFileSync(path, 'utf8'), z.strictObject({ settings: settingsSchema }), {
    file: shown(path),
  });
  if (!parsed.ok) throw new OperatorError(parsed.problems.map(formatProblem).join('\n'));
  return parsed.value.settings;
}

/** The general value is checked as it stands; an override is checked as what it makes of it. */
function siteProblems(settings: Settings, schema: JsonObject | undefined): Violation[] {
  const general = settings.site ?? {};
  const problems = siteViolations(schema, general, ['site']);
  if (problems.length > 0) return problems;
  const { backends, tools, roles = {} } = settings;
  for (const [kind, table] of Object.entries({ backends, tools, roles }))
    for (const [name, { site }] of Object.entries(table))
      if (site !== undefined) problems.push(...siteViolations(schema, merge(general, site), [kind, name, 'site']));
  return problems;
}
