// Decision cases: each has an input, written as a change to a named base, and the expected outcome and reasons.
// They run through the Go evaluator and the WASM, because `opa test` uses the one and production the other.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { type DecisionInput, inputSchema } from '../decision/schema.ts';
import { type Settings, settingsSchema } from '../decision/settings.ts';
import { isObject } from '../formats/json.ts';
import { formatProblem, parseYaml } from '../formats/yaml.ts';

const change = z.record(z.string(), z.unknown());

const basesSchema = z.strictObject({ bases: z.record(z.string(), inputSchema) });

const casesSchema = z.strictObject({
  cases: z.array(
    z.strictObject({
      name: z.string().min(1),
      base: z.string(),
      input: change.optional().describe('Changes to the base: objects are merged, anything else replaces'),
      settings: change.optional().describe('Changes to data.yaml, merged the same way'),
      expect: z.strictObject({
        outcome: z.enum(['allow', 'rotate', 'deny']),
        reasons: z.array(z.string()).min(1),
        obligations: z.array(z.string()).optional(),
      }),
    }),
  ),
});

/**
 * One case, ready to run. `file` and `line` say where it is written; without `expect.obligations` any obligations
 * pass.
 */
export interface DecisionCase {
  file: string;
  line: number;
  name: string;
  input: DecisionInput;
  settings: Settings;
  expect: { outcome: string; reasons: string[]; obligations?: string[] | undefined };
}

/**
 * Reads `<dir>/bases.yaml` and the cases in every other YAML file of `<dir>`. Throws an OperatorError that lists
 * the problems.
 */
export function loadCases(dir: string, settings: Settings): DecisionCase[] {
  const bases = read(join(dir, 'bases.yaml'), basesSchema).value.bases;
  const files = readdirSync(dir).filter((name) => name.endsWith('.yaml') && name !== 'bases.yaml');
  const problems: string[] = [];
  const cases = files.sort().flatMap((name) => {
    const file = join(dir, name);
    const { value, at } = read(file, casesSchema);
    return value.cases.flatMap((entry, i): DecisionCase[] => {
      const line = at(['cases', i]);
      const base = bases[entry.base];
      const input = inputSchema.safeParse(merge(base, entry.input ?? {}));
      const changed = settingsSchema.safeParse(merge(settings, entry.settings ?? {}));
      if (!base) problems.push(`${file}:${line} no base "${entry.base}"`);
      else if (!input.success) problems.push(`${file}:${line} input: ${z.prettifyError(input.error)}`);
      else if (!changed.success) problems.push(`${file}:${line} settings: ${z.prettifyError(changed.error)}`);
      else return [{ file, line, name: entry.name, input: input.data, settings: changed.data, expect: entry.expect }];
      return [];
    });
  });
  if (problems.length > 0) throw new OperatorError(problems.join('\n'));
  return cases;
}

function read<T>(file: string, schema: z.ZodType<T>) {
  if (!existsSync(file)) throw new OperatorError(`${file} is missing`);
  const parsed = parseYaml(readFileSync(file, 'utf8'), schema, { file });
  if (!parsed.ok) throw new OperatorError(parsed.problems.map(formatProblem).join('\n'));
  return parsed;
}

function merge(base: unknown, changes: unknown): unknown {
  if (!isObject(base) || !isObject(changes)) return changes;
  return {
    ...base,
    ...Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, merge(base[key], value)])),
  };
}
