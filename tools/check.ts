// `npm run check`: everything that can be known without running a call. Every step runs, every
// problem is printed with file and line, and the exit code says whether there was one.
import { execFile } from 'node:child_process';
import { join, relative, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { paint } from '../src/cli/output.ts';
import { messageOf } from '../src/core/errors.ts';
import { PACKAGE_ROOT } from '../src/core/paths.ts';
import { checkPolicies } from '../src/policy/check.ts';
import { findOpa, noCompilerError, type Opa } from '../src/policy/opa.ts';
import { testPolicies } from '../src/policy/tests/run.ts';
import { checkArchitecture } from './architecture.ts';
import { checkCapabilities } from './capabilities.ts';
import { checkLicences } from './licences.ts';
import { formatProblem, type Problem } from './problems.ts';
import { checkRequirements } from './requirements.ts';
import { checkSchemas } from './schemas.ts';

const run = promisify(execFile);
const { values: options } = parseArgs({
  options: {
    root: { type: 'string', default: PACKAGE_ROOT },
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const root = resolve(options.root);
const policies = join(root, 'policies');

let compiler: Promise<Opa> | undefined;
const opa = (): Promise<Opa> => {
  compiler ??= findOpa({ progress: console.error }).then((found) => {
    if (!found) throw noCompilerError('policies cannot be checked');
    return found;
  });
  return compiler;
};

type Step = () => Promise<Problem[]> | Problem[];
const steps: Record<string, Step> = {
  format: () => tool('biome', ['check', '--colors=off', '--max-diagnostics=50', '.']),
  types: () => tool('tsc', ['-p', '.', '--pretty', 'false']),
  architecture: () => checkArchitecture(root),
  requirements: () => checkRequirements(root),
  licences: () => checkLicences(root),
  schemas: () => checkSchemas(root),
  capabilities: async () => checkCapabilities(await opa(), root),
  policies: async () => checkPolicies(policies, await opa()),
  'policy tests': async () =>
    (await testPolicies(policies, await opa(), { tests: join(root, 'policy-tests') })).problems,
};

if (options.help) {
  console.log(
    `Usage: npm run check -- [--only STEP]... [--root FOLDER] [--json]\nSteps: ${Object.keys(steps).join(', ')}`,
  );
  process.exit(0);
}

const results: { step: string; problems: Problem[] }[] = [];
for (const [step, work] of Object.entries(steps)) {
  if (options.only.length > 0 && !options.only.includes(step)) continue;
  const started = performance.now();
  let problems: Problem[];
  try {
    problems = await work();
  } catch (thrown) {
    problems = [{ file: step, line: 0, path: '', message: messageOf(thrown) }];
  }
  results.push({ step, problems });
  if (options.json) continue;
  const seconds = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  console.log(
    `${problems.length === 0 ? paint('green', 'ok  ') : paint('red', 'FAIL')} ${step.padEnd(14)} ${paint('dim', seconds)}`,
  );
  for (const problem of problems)
    console.log(
      `     ${formatProblem({ ...problem, file: problem.file.startsWith('/') ? relative(root, problem.file) : problem.file })}`,
    );
}
if (options.json) console.log(JSON.stringify({ ok: results.every((r) => r.problems.length === 0), results }));
process.exitCode = results.length > 0 && results.every((r) => r.problems.length === 0) ? 0 : 1;

/** A tool of node_modules; its own report, which has file and line, becomes the problem. */
async function tool(name: string, args: string[]): Promise<Problem[]> {
  try {
    await run(join(PACKAGE_ROOT, 'node_modules', '.bin', name), args, { cwd: root, maxBuffer: 16 * 1024 * 1024 });
    return [];
  } catch (thrown) {
    const { stdout = '', stderr = '' } = thrown as { stdout?: string; stderr?: string };
    return [{ file: name, line: 0, path: '', message: `\n${(stdout + stderr).trim()}` }];
  }
}
