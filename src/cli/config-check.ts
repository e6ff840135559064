// `sallyport config check`: every problem at once, then the secret files it names.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseConfig } from '../config/load.ts';
import { resolveCredentials } from '../config/secrets.ts';
import { messageOf, OperatorError } from '../core/errors.ts';
import { formatProblem, type Problem } from '../core/yaml.ts';
import { readClientFile } from '../identity/client-file.ts';
import { print, printJson } from './output.ts';

export function configCheck(file: string, { json = false }: { json?: boolean }): void {
  if (!existsSync(file)) throw new OperatorError(`${file} does not exist`);
  const result = parseConfig({
    text: readFileSync(file, 'utf8'),
    file,
    baseDir: dirname(resolve(file)),
    env: process.env,
  });
  const problems: Problem[] = result.ok ? secretProblems(file, result.config) : result.problems;
  if (json) printJson({ ok: problems.length === 0, problems });
  else if (problems.length > 0) throw new OperatorError(problems.map(formatProblem).join('\n'));
  else print(`${file}: ok`);
  if (problems.length > 0) process.exitCode = 1;
}

function secretProblems(
  file: string,
  config: Extract<ReturnType<typeof parseConfig>, { ok: true }>['config'],
): Problem[] {
  const checks: [string, () => unknown][] = Object.entries(config.backends).map(([name, backend]) => [
    `backends.${name}.credentials`,
    () => resolveCredentials(backend.credentials, name),
  ]);
  const { keys } = config.identity;
  if (keys) checks.push(['identity.keys.file', () => readClientFile(keys.file)]);
  return checks.flatMap(([path, check]) => {
    try {
      check();
      return [];
    } catch (thrown) {
      return [{ file, line: 0, path, message: messageOf(thrown) }];
    }
  });
}
