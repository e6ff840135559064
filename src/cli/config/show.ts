// `sallyport config show`: the configuration as it takes effect, with all defaults and absolute paths. A secret is only
// referred to, and the reference is shown. What a variable puts into a request may be one all the same, so there its name is
// shown.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseConfig } from '../../config/load.ts';
import { OperatorError } from '../../core/errors.ts';
import { formatProblem, toPlainYaml } from '../../formats/yaml/yaml.ts';
import { configurationRevision } from '../../life/replicas.ts';
import { print, printJson } from '../output.ts';

/** Prints the configuration and its revision. Throws an OperatorError with all of its problems. */
export function configShow(file: string, { json = false }: { json?: boolean }): void {
  if (!existsSync(file)) throw new OperatorError(`${file} does not exist`);
  const result = parseConfig({
    text: readFileSync(file, 'utf8'),
    file,
    baseDir: dirname(resolve(file)),
    env: process.env,
  });
  if (!result.ok) throw new OperatorError(result.problems.map(formatProblem).join('\n'));
  const { config, variables } = result;
  const revision = configurationRevision(config);
  const hidden = [...variables].flatMap((name): [string, string][] => {
    const value = process.env[name];
    return value ? [[value, `\${${name}}`]] : [];
  });
  // Longer values first: one may be part of another.
  hidden.sort(([a], [b]) => b.length - a.length);
  const effective = {
    ...config,
    backends: Object.fromEntries(
      Object.entries(config.backends).map(([name, { url, ...rest }]) => [
        name,
        { url, ...(redacted(rest, hidden) as object) },
      ]),
    ),
    tools: redacted(config.tools, hidden),
  };
  if (json) return printJson({ revision, configuration: effective });
  print(`# ${file}, revision ${revision}`);
  print(toPlainYaml(effective).trimEnd());
}

function redacted(value: unknown, hidden: readonly [string, string][]): unknown {
  if (typeof value === 'string') return hidden.reduce((text, [secret, name]) => text.replaceAll(secret, name), value);
  if (Array.isArray(value)) return value.map((item) => redacted(item, hidden));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redacted(item, hidden)]));
}
