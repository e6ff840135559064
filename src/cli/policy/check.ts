// `sallyport policy check`: checks a policy folder. What is checked is in decision/check.ts.
import { relative, resolve } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { formatProblem } from '../../formats/yaml.ts';
import { checkPolicies } from '../../policy/check.ts';
import { findOpa, noCompilerError } from '../../policy/opa.ts';
import { print, printJson, progress } from '../output.ts';

/**
 * Runs the checks. Rejects with an OperatorError that lists all problems, or prints them as JSON and sets exit
 * code 1.
 */
export async function policyCheck({ dir, json = false }: { dir: string; json?: boolean }): Promise<void> {
  const opa = await findOpa({ progress });
  if (!opa) throw noCompilerError('policies cannot be checked');
  const problems = (await checkPolicies(resolve(dir), opa)).map((p) => ({
    ...p,
    file: relative('', p.file) || p.file,
  }));
  if (json) printJson({ ok: problems.length === 0, problems });
  else if (problems.length > 0) throw new OperatorError(problems.map(formatProblem).join('\n'));
  else print(`${dir}: ok`);
  if (problems.length > 0) process.exitCode = 1;
}
