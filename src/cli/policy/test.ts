// `sallyport policy test`: runs the tests of a policy folder.
import { OperatorError } from '../../core/errors.ts';
import { formatProblem } from '../../formats/yaml/yaml.ts';
import { findOpa, noCompilerError } from '../../policy/opa.ts';
import { testPolicies } from '../../policy/test.ts';
import { print, printJson, progress } from '../output.ts';
import { type PolicyOptions, placeOf } from './place.ts';

export interface TestOptions extends PolicyOptions {
  tests?: string;
  json?: boolean;
}

/**
 * Runs the tests. Rejects with an OperatorError that lists all problems, or prints them as JSON and sets exit
 * code 1.
 */
export async function policyTest(options: TestOptions): Promise<void> {
  const { tests, json = false } = options;
  const opa = await findOpa({ progress });
  if (!opa) throw noCompilerError('policies cannot be tested');
  const result = await testPolicies(placeOf(options), tests, opa);
  const { problems } = result;
  if (json) printJson({ ok: problems.length === 0, ...result });
  else if (problems.length > 0) throw new OperatorError(problems.map(formatProblem).join('\n'));
  else
    print(
      `${result.unitTests} Rego tests, coverage ${result.coverage} %, ${result.cases} cases through Go and WASM: ok`,
    );
  if (problems.length > 0) process.exitCode = 1;
}
