// Tests a policy folder: first the Rego unit tests, which must cover every line, then the decision cases through
// both evaluators.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperatorError } from '../core/errors.ts';
import { loadSettings } from '../decision/bundle.ts';
import { createEvaluator } from '../decision/evaluator.ts';
import type { PolicyDecision } from '../decision/schema.ts';
import { canonicalJson } from '../formats/json.ts';
import type { Problem } from '../formats/yaml.ts';
import { type DecisionCase, loadCases } from './cases.ts';
import { compile, opaRun } from './compiler.ts';
import type { Opa } from './opa.ts';

/** What was run and what failed. `unitTests` is how many Rego tests passed, `cases` how many cases were run. */
export interface PolicyTestResult {
  unitTests: number;
  /** Percent of the policy sources that the unit tests cover; 0 when a unit test failed. */
  coverage: number;
  cases: number;
  problems: Problem[];
}

/** Runs all tests of the policy in `dir`. Rejects with an OperatorError when they cannot be run. */
export async function testPolicies(dir: string, tests: string, opa: Opa): Promise<PolicyTestResult> {
  const units = await runUnitTests(dir, tests, opa);
  const cases = loadCases(join(tests, 'cases'), loadSettings(dir));
  const problems = [...units.problems, ...(await runCases(dir, cases, opa))];
  return { unitTests: units.passed, coverage: units.coverage, cases: cases.length, problems };
}

interface Coverage {
  coverage: number;
  files: Record<string, { not_covered?: { start: { row: number }; end: { row: number } }[] }>;
}

interface UnitTest {
  location: { file: string; row: number };
  name: string;
  fail?: boolean;
  error?: unknown;
}

async function runUnitTests(
  dir: string,
  tests: string,
  opa: Opa,
): Promise<{ passed: number; coverage: number; problems: Problem[] }> {
  const sources = [join(dir, 'sallyport'), join(dir, 'data.yaml'), join(tests, 'sallyport')];
  const results = JSON.parse(await tolerate(opaRun(opa, dir, ['test', '--format', 'json', ...sources]))) as
    | UnitTest[]
    | null;
  if (!results || results.length === 0) throw new OperatorError(`${join(tests, 'sallyport')} holds no Rego test`);
  const failed = results.filter((test) => test.fail || test.error !== undefined);
  const problems = failed.map(({ location, name }) => ({
    file: location.file,
    line: location.row,
    path: '',
    message: `${name} failed`,
  }));
  if (problems.length > 0) return { passed: results.length - failed.length, coverage: 0, problems };

  const report = JSON.parse(await opaRun(opa, dir, ['test', '--coverage', '--format', 'json', ...sources])) as Coverage;
  const files = Object.entries(report.files).filter(([file]) => file.startsWith(dir));
  for (const [file, { not_covered = [] }] of files) {
    for (const { start } of not_covered)
      problems.push({ file, line: start.row, path: '', message: 'is not covered by any test' });
  }
  return { passed: results.length, coverage: problems.length === 0 ? 100 : report.coverage, problems };
}

async function runCases(dir: string, cases: DecisionCase[], opa: Opa): Promise<Problem[]> {
  const module = new WebAssembly.Module(new Uint8Array((await compile(dir, opa)).wasm));
  const inGo = await evaluateInGo(dir, cases, opa);
  return cases.flatMap((entry, i) => {
    const evaluation = createEvaluator({
      module,
      data: { settings: entry.settings },
      budgetMs: 10_000,
    }).evaluate(entry.input);
    const problem = (message: string): Problem[] => [
      { file: entry.file, line: entry.line, path: '', message: `${entry.name}: ${message}` },
    ];
    if (!evaluation.ok) return problem(`WASM: ${evaluation.code} (${evaluation.detail})`);
    const [wasm, go] = [normal(evaluation.decision), normal(inGo[i])];
    if (canonicalJson(wasm) !== canonicalJson(go))
      return problem(`WASM says ${canonicalJson(wasm)}, the Go evaluator says ${canonicalJson(go)}`);
    const got = {
      outcome: wasm?.outcome,
      reasons: codes(wasm),
      obligations: wasm?.obligations.map((o) => o.type).sort(),
    };
    const want = {
      outcome: entry.expect.outcome,
      reasons: [...entry.expect.reasons].sort(),
      obligations: entry.expect.obligations ? [...entry.expect.obligations].sort() : got.obligations,
    };
    return canonicalJson(got) === canonicalJson(want)
      ? []
      : problem(`expected ${canonicalJson(want)}, got ${canonicalJson(got)}`);
  });
}

/** Evaluates all cases in one run of the Go evaluator, because each run takes 30 ms to start. */
async function evaluateInGo(dir: string, cases: DecisionCase[], opa: Opa): Promise<(PolicyDecision | undefined)[]> {
  const work = mkdtempSync(join(tmpdir(), 'sallyport-cases-'));
  try {
    const data = join(work, 'data.json');
    writeFileSync(data, JSON.stringify({ cases: cases.map(({ input, settings }) => ({ input, settings })) }));
    // Input and settings are bound to names first: when `with` is given `c.input` directly, OPA 1.22.2 evaluates
    // as if `c` were unbound.
    const query =
      '[d | some c in data.cases; i := c.input; s := c.settings; d := data.sallyport.decision with input as i with data.settings as s]';
    const output = await opaRun(opa, dir, ['eval', '--format', 'json', '-d', 'sallyport', '-d', data, query]);
    return (
      (JSON.parse(output) as { result: { expressions: { value: PolicyDecision[] }[] }[] }).result[0]?.expressions[0]
        ?.value ?? []
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Sorts reasons and obligations before they are compared, because sets have no order. */
function normal(decision: PolicyDecision | undefined): PolicyDecision | undefined {
  const sort = <T>(list: T[]): T[] => [...list].sort((a, b) => (canonicalJson(a) < canonicalJson(b) ? -1 : 1));
  return decision && { ...decision, reasons: sort(decision.reasons), obligations: sort(decision.obligations) };
}

const codes = (decision: PolicyDecision | undefined): string[] =>
  [...new Set(decision?.reasons.map((reason) => reason.code))].sort();

/** Accepts the failure of `opa test`, which exits with 2 when a test fails but still prints its report. */
async function tolerate(run: Promise<string>): Promise<string> {
  try {
    return await run;
  } catch (thrown) {
    const report = thrown instanceof OperatorError ? /\n(\[\s*\{[\s\S]*\])\s*$/.exec(thrown.message)?.[1] : undefined;
    if (report === undefined) throw thrown;
    return report;
  }
}
