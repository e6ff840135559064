// `sallyport policy test`: runs the tests of a policy folder.
import { writeFileSync } from 'node:fs';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { policyPaths } from '../../decision/data/paths.ts';
import { formatProblem } from '../../formats/yaml/yaml.ts';
import { findOpa, noCompilerError, type Opa } from '../../policy/opa.ts';
import { testFolders } from '../../policy/run/test-folders.ts';
import { junit } from '../../policy/tests/junit.ts';
import { type PolicyTestResult, testPolicies } from '../../policy/tests/run.ts';
import { paint, print, printJson, progress } from '../output.ts';
import { type PolicyOptions, placeOf } from './place.ts';
import { watchFolders } from './watch.ts';

export interface TestOptions extends PolicyOptions {
  tests?: string;
  json?: boolean;
  run?: string;
  verbose?: boolean;
  /** A file for JUnit XML. */
  junit?: string;
  watch?: boolean;
}

/**
 * Runs the tests. Rejects with an OperatorError that lists all problems, or prints them as JSON and sets exit code 1. With
 * `--watch` it runs them again after each change, until it is ended.
 */
export async function policyTest(options: TestOptions): Promise<void> {
  const opa = await findOpa({ progress });
  if (!opa) throw noCompilerError('policies cannot be tested');
  const run = patternOf(options.run);
  if (!options.watch) return once(options, opa, run);
  const again = async () => {
    if (process.stdout.isTTY) process.stdout.write('\x1bc');
    try {
      await once(options, opa, run);
    } catch (thrown) {
      if (!(thrown instanceof OperatorError)) throw thrown;
      print(`${thrown.message}\n${paint('red', 'failed')}`);
    }
    process.exitCode = 0;
    progress(`waiting for a change (${new Date().toLocaleTimeString()}; Ctrl-C ends it)`);
  };
  await again();
  await watchFolders(foldersOf(options), again);
}

async function once(options: TestOptions, opa: Opa, run: RegExp | undefined): Promise<void> {
  const result = await testPolicies(placeOf(options), opa, { tests: options.tests, run });
  const { problems, tests, files } = result;
  if (options.junit !== undefined) write(options.junit, junit(result));
  if (problems.length > 0) process.exitCode = 1;
  if (options.json) return printJson({ ok: problems.length === 0, ...result });
  if (options.verbose) {
    for (const { kind, name, ok, seconds } of tests)
      print(
        `${ok ? paint('green', 'ok  ') : paint('red', 'FAIL')} ${kind.padEnd(8)} ${name}${seconds === undefined ? '' : paint('dim', `  ${(seconds * 1000).toFixed(1)} ms`)}`,
      );
    for (const { file, covered, missed } of files)
      print(
        `${paint(missed.length === 0 ? 'green' : 'red', `${String(covered).padStart(5)} %`)} ${file}${missed.length === 0 ? '' : `  not covered: line ${missed.join(', ')}`}`,
      );
  }
  if (problems.length > 0) throw new OperatorError(problems.map(formatProblem).join('\n'));
  print(summary(result, run));
}

const summary = ({ unitTests, coverage, cases, sequences }: PolicyTestResult, run: RegExp | undefined): string =>
  `${unitTests} Rego tests, ${run ? '' : `coverage ${coverage} %, `}${cases} cases${sequences > 0 ? ` and ${sequences} sequences` : ''} through Go and WASM: ok`;

function patternOf(text: string | undefined): RegExp | undefined {
  try {
    return text === undefined ? undefined : new RegExp(text);
  } catch (thrown) {
    throw new OperatorError(`--run: ${messageOf(thrown)}`);
  }
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (thrown) {
    throw new OperatorError(`${file} cannot be written: ${messageOf(thrown)}`);
  }
}

/** Where a change can be: the policy, the rules of the site, and all tests. */
function foldersOf(options: TestOptions): string[] {
  const paths = policyPaths(placeOf(options));
  const { shipped, site, own } = testFolders(paths, options.tests);
  return [paths.dir, paths.site, paths.shipped, shipped, ...site, ...(own === undefined ? [] : [own])];
}
