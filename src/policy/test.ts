// Tests a policy folder: first the Rego unit tests, which must cover every line, then the decision cases through
// both evaluators.
import { OperatorError } from '../core/errors.ts';
import { type PolicyPlace, policyPaths, shown } from '../decision/data/paths.ts';
import { readSettingsAt } from '../decision/data/read.ts';
import type { Evaluation } from '../decision/evaluator.ts';
import type { PolicyDecision, Reason } from '../decision/schema.ts';
import type { LoadedSettings } from '../decision/settings.ts';
import { canonicalJson } from '../formats/json.ts';
import type { Problem } from '../formats/yaml/yaml.ts';
import { type DecisionCase, loadAllCases } from './cases.ts';
import { compileStage } from './compiler.ts';
import { runTests } from './gate/gate.ts';
import type { Opa } from './opa.ts';
import { type CoverageReport, type Covered, runInGo, runInWasm } from './run/cases.ts';
import { type Stage, withStage } from './run/stage.ts';
import { type Part, partsOf, testFolders } from './run/test-folders.ts';

/** What was run and what failed. `unitTests` is how many Rego tests passed, `cases` how many cases were run. */
export interface PolicyTestResult {
  unitTests: number;
  /** Percent of the policy sources that unit tests and cases cover; 0 when a unit test failed. */
  coverage: number;
  cases: number;
  problems: Problem[];
}

/**
 * Runs all tests of a policy. `tests` is a folder like policy-tests; see `testFolders`. Rejects with an OperatorError
 * when they cannot be run.
 */
export async function testPolicies(
  place: string | PolicyPlace,
  tests: string | undefined,
  opa: Opa,
): Promise<PolicyTestResult> {
  const paths = policyPaths(place);
  const { settings } = readSettingsAt(paths);
  const total: PolicyTestResult = { unitTests: 0, coverage: 100, cases: 0, problems: [] };
  for (const part of partsOf(paths, testFolders(paths, tests), true)) {
    const result = await testPart(part, settings, opa);
    total.unitTests += result.unitTests;
    if (part.rego.size > 0) total.coverage = Math.min(total.coverage, result.coverage);
    total.cases += result.cases;
    total.problems.push(...result.problems);
  }
  if (total.unitTests === 0) throw new OperatorError('there is no Rego test');
  return total;
}

function testPart(
  { name, paths, rego, cases: dirs, own }: Part,
  settings: LoadedSettings,
  opa: Opa,
): Promise<PolicyTestResult> {
  const cases = loadAllCases(dirs, settings, paths, own);
  return withStage(
    paths,
    async (stage) => {
      const { wasm } = await compileStage(stage, [], opa, {});
      const go = await runInGo(stage.dir, stage.roots, cases, opa);
      const module = new WebAssembly.Module(new Uint8Array(wasm));
      const judged = cases.flatMap((entry, i) => judge(entry, runInWasm(module, entry), go.decisions[i]));
      const sources = stage.sources.filter((source) => name !== 'site' || source.startsWith('site/'));
      const none = { passed: 0, coverage: 100, problems: [] };
      const units = rego.size === 0 ? none : await runUnitTests(stage, sources, settings, go.covered, opa);
      return {
        unitTests: units.passed,
        coverage: units.coverage,
        cases: cases.length,
        problems: [...units.problems, ...judged],
      };
    },
    rego,
  );
}

interface UnitTest {
  location: { file: string; row: number };
  name: string;
  fail?: boolean;
  error?: unknown;
}

async function runUnitTests(
  stage: Stage,
  sources: readonly string[],
  settings: LoadedSettings,
  byCases: Covered,
  opa: Opa,
): Promise<{ passed: number; coverage: number; problems: Problem[] }> {
  const text = await runTests(stage, settings, opa, []);
  const results = (JSON.parse(text || '[]') ?? []) as UnitTest[] | { errors?: OpaError[] };
  if (!Array.isArray(results)) throw new OperatorError(failure(results, stage));
  const failed = results.filter((test) => test.fail || test.error !== undefined);
  const problems = failed.map(({ location, name }) => ({
    file: stage.original(location.file),
    line: location.row,
    path: '',
    message: `${name} failed`,
  }));
  if (problems.length > 0) return { passed: results.length - failed.length, coverage: 0, problems };

  const report = JSON.parse(await runTests(stage, settings, opa, ['--coverage'])) as CoverageReport;
  // What a case evaluates is covered, too.
  const missed = sources.flatMap((file) =>
    (report.files[file]?.not_covered ?? [])
      .filter(({ start }) => !byCases.get(file)?.has(`${start.row}:${start.col}`))
      .map(({ start }) => ({ file, line: start.row })),
  );
  for (const { file, line } of missed)
    problems.push({ file: stage.original(file), line, path: '', message: 'is not covered by any test or case' });
  return { passed: results.length, coverage: missed.length === 0 ? 100 : report.coverage, problems };
}

interface OpaError {
  message: string;
  location?: { file: string; row: number };
}

const failure = (report: { errors?: OpaError[] }, stage: Stage): string =>
  report.errors
    ?.map(({ message, location }) => `${location ? `${stage.original(location.file)}:${location.row} ` : ''}${message}`)
    .join('\n') ?? 'there is no Rego test';

/** What is wrong with the decision on one case. */
function judge(entry: DecisionCase, evaluation: Evaluation, inGo: PolicyDecision | undefined): Problem[] {
  const problem = (message: string): Problem[] => [
    { file: shown(entry.file), line: entry.line, path: '', message: `${entry.name}: ${message}` },
  ];
  if (!evaluation.ok) return problem(`WASM: ${evaluation.code} (${evaluation.detail})`);
  const [wasm, go] = [normal(evaluation.decision), normal(inGo)];
  if (canonicalJson(wasm) !== canonicalJson(go))
    return problem(`WASM says ${canonicalJson(wasm)}, the Go evaluator says ${canonicalJson(go)}`);
  const { expect } = entry;
  const got = {
    outcome: wasm?.outcome,
    reasons: codes(wasm?.reasons),
    observed: codes(wasm?.observed),
    obligations: wasm?.obligations.map((o) => o.type).sort(),
  };
  const want = {
    outcome: expect.outcome,
    reasons: [...expect.reasons].sort(),
    observed: expect.observed ? [...expect.observed].sort() : got.observed,
    obligations: expect.obligations ? [...expect.obligations].sort() : got.obligations,
  };
  return canonicalJson(got) === canonicalJson(want)
    ? []
    : problem(`expected ${canonicalJson(want)}, got ${canonicalJson(got)}`);
}

/** Sorts what has no order before it is compared. */
function normal(decision: PolicyDecision | undefined): PolicyDecision | undefined {
  const sort = <T>(list: T[]): T[] => [...list].sort((a, b) => (canonicalJson(a) < canonicalJson(b) ? -1 : 1));
  return (
    decision && {
      ...decision,
      reasons: sort(decision.reasons),
      observed: sort(decision.observed ?? []),
      obligations: sort(decision.obligations),
    }
  );
}

const codes = (reasons: readonly Reason[] = []): string[] => [...new Set(reasons.map((reason) => reason.code))].sort();
