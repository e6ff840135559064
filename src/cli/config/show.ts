// `sallyport config show`: the configuration as it takes effect, with all defaults and absolute paths. A secret is only
// referred to, and the reference is shown. What comes from a variable may be one all the same, so each text that has a
// reference in it is shown as it was written.
import { dirname, isAbsolute, resolve } from 'node:path';
import { type CheckedConfig, parseConfig, readConfigText } from '../../config/load.ts';
import { OperatorError } from '../../core/errors.ts';
import { formatProblem, keyOf, toPlainYaml } from '../../formats/yaml/yaml.ts';
import { configurationRevision } from '../../life/replicas.ts';
import { print, printJson } from '../output.ts';

/** Prints the configuration and its revision. Throws an OperatorError with all of its problems. */
export function configShow(file: string, { json = false }: { json?: boolean }): void {
  const result = parseConfig({ text: readConfigText(file), file, baseDir: dirname(resolve(file)), env: process.env });
  if (!result.ok) throw new OperatorError(result.problems.map(formatProblem).join('\n'));
  const { config } = result;
  const revision = configurationRevision(config);
  const effective = asWritten(config, result, [], dirname(resolve(file)));
  if (json) return printJson({ revision, configuration: effective });
  print(`# ${file}, revision ${revision}`);
  print(toPlainYaml(effective).trimEnd());
}

function asWritten(value: unknown, read: CheckedConfig, path: (string | number)[], baseDir: string): unknown {
  const stands = read.references.get(keyOf(path));
  if (stands !== undefined && (typeof value !== 'object' || value === null)) return stands;
  // Some values stand at another place than they were written at, and are found by what they are; paths are absolute.
  if (typeof value === 'string') return moved(value, read.written, baseDir);
  if (Array.isArray(value)) return value.map((item, i) => asWritten(item, read, [...path, i], baseDir));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      read.written.get(key) ?? key,
      asWritten(item, read, [...path, key], baseDir),
    ]),
  );
}

function moved(value: string, written: ReadonlyMap<string, string>, baseDir: string): string {
  const stands = written.get(value);
  if (stands !== undefined || !isAbsolute(value)) return stands ?? value;
  return [...written].find(([text]) => resolve(baseDir, text) === value)?.[1] ?? value;
}
