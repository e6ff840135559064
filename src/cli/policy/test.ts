// `sallyport policy test`: runs the tests of a policy folder. What is tested is in decision/policy-test.ts.
import { relative, resolve } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { formatProblem } from '../../formats/yaml.ts';
import { findOpa, noCompilerError } from '../../policy/opa.ts';
import { testPolicies } from '../../policy/test.ts';
import { print, printJson, progress } from '../output.ts';

/**
 * Runs the tests. Rejects with an OperatorError that lists all problems, or prints them as JSON and sets exit
 * code 1.
 */
export async function policyTest({
  dir,
  tests,
  json = false,
}: {
  dir: string;
  tests: string;
  json?: boolean;
}): Promise<void> {
  const opa = await findOpa({ progress });
  if (!opa) throw noCompilerError('policies cannot be tested');
  const result = await testPolicies(resolve(dir), resolve(tests), opa);
  const problems = result.problems.map((p) => ({ ...p, file: relative('', p.file) || p.file }));
  if (json) printJson({ ok: problems.length === 0, ...result, problems });
  else if (problems.length > 0) throw new OperatorError(problems.map(formatProblem).join('\n'));
  else
    print(
      `${result.unitTests} Rego tests, coverage ${result.coverage} %, ${result.cases} cases through Go and WASM: ok`,
    );
  if (problems.length > 0) process.exitCode = 1;
}
