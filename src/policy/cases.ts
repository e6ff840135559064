// Decision cases: each has an input, written as a change to a named base, and the expected outcome and reasons.
// They run through the Go evaluator and the WASM, because `opa test` uses the one and production the other.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { merge } from '../decision/data/merge.ts';
import { PACKAGED, type PolicyPaths, policyPaths } from '../decision/data/paths.ts';
import { completeSettings } from '../decision/data/read.ts';
import { type DecisionInput, inputSchema } from '../decision/schema.ts';
import { type LoadedSettings, type Settings, settingsSchema } from '../decision/settings.ts';
import { formatProblem, parseYaml } from '../formats/yaml/yaml.ts';

const change = z.record(z.string(), z.unknown());

const basesSchema = z.strictObject({
  bases: z.record(z.string(), inputSchema),
  settings: change.optional().describe('Settings of the cases of this folder, over the shipped defaults'),
});

const casesSchema = z.strictObject({
  settings: change.optional().describe('Settings of the cases of this file, over the shipped defaults'),
  cases: z.array(
    z.strictObject({
      name: z.string().min(1),
      base: z.string(),
      input: change.optional().describe('Changes to the base: objects are merged, anything else replaces'),
      settings: change.optional().describe('Changes to the settings, merged the same way'),
      expect: z.strictObject({
        outcome: z.enum(['allow', 'rotate', 'deny']),
        reasons: z.array(z.string()).min(1),
        observed: z.array(z.string()).optional(),
        obligations: z.array(z.string()).optional(),
      }),
    }),
  ),
});

/**
 * One case, ready to run. `file` and `line` say where it is written; without `expect.obligations` any obligations
 * pass, and without `expect.observed` anything may be observed.
 */
export interface DecisionCase {
  file: string;
  line: number;
  name: string;
  input: DecisionInput;
  settings: LoadedSettings;
  expect: {
    outcome: string;
    reasons: string[];
    observed?: string[] | undefined;
    obligations?: string[] | undefined;
  };
}

/**
 * Reads `<dir>/bases.yaml` and the cases in every other YAML file of `<dir>`. They bring their settings, in their own
 * file or in bases.yaml; those that bring none are decided with `settings`. Throws an OperatorError that lists the
 * problems.
 */
export function loadCases(
  dir: string,
  settings: LoadedSettings,
  paths: PolicyPaths = policyPaths(PACKAGED),
): DecisionCase[] {
  return loadAllCases([dir], settings, paths);
}

/**
 * The cases of several folders, from the folder with index `firstOwn` on. Each may use the bases of those before it, and only
 * the first must have some.
 */
export function loadAllCases(
  dirs: readonly string[],
  settings: LoadedSettings,
  paths: PolicyPaths,
  firstOwn = 0,
): DecisionCase[] {
  const problems: string[] = [];
  let bases: Record<string, DecisionInput> = {};
  const cases = dirs.flatMap((dir, i) => {
    const basesFile = join(dir, 'bases.yaml');
    const own = i > 0 && !existsSync(basesFile) ? undefined : read(basesFile, basesSchema).value;
    bases = { ...bases, ...own?.bases };
    if (i < firstOwn) return [];
    const files = readdirSync(dir).filter((name) => /\.ya?ml$/.test(name) && name !== 'bases.yaml');
    return files.sort().flatMap((name) => {
      const file = join(dir, name);
      const { value, at } = read(file, casesSchema);
      const written = value.settings ?? own?.settings;
      return value.cases.flatMap((entry, n): DecisionCase[] => {
        const line = at(['cases', n]);
        const base = Object.hasOwn(bases, entry.base) ? bases[entry.base] : undefined;
        const input = inputSchema.safeParse(merge(base, entry.input));
        const changed = settingsOf(written, entry.settings, settings, paths);
        if (!base) problems.push(`${file}:${line} no base "${entry.base}"`);
        else if (!input.success) problems.push(`${file}:${line} input: ${z.prettifyError(input.error)}`);
        else if (typeof changed === 'string') problems.push(`${file}:${line} settings: ${changed}`);
        else if (oddZones(input.data, changed).length > 0)
          problems.push(
            `${file}:${line} input: time.zones has ${oddZones(input.data, changed).join(', ')}, which settings.zones does not name`,
          );
        else return [{ file, line, name: entry.name, input: input.data, settings: changed, expect: entry.expect }];
        return [];
      });
    });
  });
  if (problems.length > 0) throw new OperatorError(problems.join('\n'));
  return cases;
}

/** The bases of folders; a later one may replace that of an earlier one. Throws an OperatorError where they cannot be read. */
export function basesFor(dirs: readonly string[]): Record<string, DecisionInput> {
  const files = dirs.map((dir) => join(dir, 'bases.yaml')).filter((file) => existsSync(file));
  return Object.assign({}, ...files.map((file) => read(file, basesSchema).value.bases));
}

/** Zones of the input that the connector would not give with these settings. */
const oddZones = ({ time }: DecisionInput, { zones = [] }: LoadedSettings): string[] =>
  Object.keys(time.zones ?? {}).filter((zone) => !zones.includes(zone));

/** The settings of one case or sequence, or what is wrong with them. */
export function settingsOf(
  written: Record<string, unknown> | undefined,
  changes: Record<string, unknown> | undefined,
  folder: LoadedSettings,
  paths: PolicyPaths,
): LoadedSettings | string {
  if (written === undefined && changes === undefined) return folder;
  const { merged: _merged, ...general } = folder;
  const base = written === undefined ? general : written;
  const completed = completeSettings(merge(base, changes) as Settings, paths);
  if (!completed.ok) return completed.violations.map(({ path, message }) => `${path.join('.')} ${message}`).join('; ');
  const { merged, ...complete } = completed.settings;
  const checked = settingsSchema.safeParse(complete);
  return checked.success ? { ...checked.data, merged } : z.prettifyError(checked.error);
}

function read<T>(file: string, schema: z.ZodType<T>) {
  if (!existsSync(file)) throw new OperatorError(`${file} is missing`);
  const parsed = parseYaml(readFileSync(file, 'utf8'), schema, { file });
  if (!parsed.ok) throw new OperatorError(parsed.problems.map(formatProblem).join('\n'));
  return parsed;
}
