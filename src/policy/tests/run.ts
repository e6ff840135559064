// Tests a policy: the Rego tests, which with the cases must cover every line, then cases and sequences through both evaluators.
import { OperatorError } from '../../core/errors.ts';
import { type PolicyPlace, policyPaths, shown } from '../../decision/data/paths.ts';
import { readSettingsAt } from '../../decision/data/read.ts';
import { hashSources } from '../../decision/manifest.ts';
import type { PolicyDecision } from '../../decision/schema.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import type { Problem } from '../../formats/yaml/yaml.ts';
import { loadAllCases } from '../cases.ts';
import { compileStage } from '../compiler.ts';
import type { Opa } from '../opa.ts';
import { parseModules } from '../rego/modules.ts';
import { runInGo, runInWasm } from '../run/cases.ts';
import { callsOf, loadSequences, type PlayedSequence, playSequences } from '../run/sequences.ts';
import { withStage } from '../run/stage.ts';
import { type Part, partsOf, testFolders } from '../run/test-folders.ts';
import { failingCall, judgeCase } from './judge.ts';
import { problemOf, type TestOutcome } from './outcome.ts';
import { coverage, type FileCoverage, runUnits } from './units.ts';

/** What was run and what failed. `unitTests` is how many Rego tests passed; `cases` and `sequences`, how many were run. */
export interface PolicyTestResult {
  unitTests: number;
  /** Percent of the policy sources that tests and cases cover: that of the least covered file; 0 when a Rego test failed. */
  coverage: number;
  cases: number;
  sequences: number;
  problems: Problem[];
  tests: TestOutcome[];
  /** By file; empty where only some tests were run. */
  files: FileCoverage[];
}

export interface TestRunOptions {
  /** A folder like policy-tests; see `testFolders`. */
  tests?: string | undefined;
  /** Only what has this in its name; what is covered is not asked then. */
  run?: RegExp | undefined;
}

/** Runs the tests of a policy. Rejects with an OperatorError when they cannot be run. */
export async function testPolicies(
  place: string | PolicyPlace,
  opa: Opa,
  { tests, run }: TestRunOptions = {},
): Promise<PolicyTestResult> {
  const paths = policyPaths(place);
  const { settings } = readSettingsAt(paths);
  const total: PolicyTestResult = {
    unitTests: 0,
    coverage: 100,
    cases: 0,
    sequences: 0,
    problems: [],
    tests: [],
    files: [],
  };
  for (const part of partsOf(paths, testFolders(paths, tests), true)) {
    const { outcomes, files } = await testPart(part, settings, opa, run);
    const of = (kind: TestOutcome['kind']) => outcomes.filter((each) => each.kind === kind);
    total.unitTests += of('unit').filter(({ ok }) => ok).length;
    total.cases += of('case').length;
    total.sequences += of('sequence').length;
    total.tests.push(...outcomes);
    total.files.push(...files);
    total.problems.push(...outcomes.filter(({ ok }) => !ok).map(problemOf), ...files.flatMap(uncovered));
    if (of('unit').some(({ ok }) => !ok)) total.coverage = 0;
  }
  total.coverage = Math.min(total.coverage, ...total.files.map(({ covered }) => covered));
  if (run && total.tests.length === 0)
    throw new OperatorError(`no test, case or sequence has ${run.source} in its name`);
  if (!run && total.unitTests === 0 && total.problems.length === 0) throw new OperatorError('there is no Rego test');
  return total;
}

const uncovered = ({ file, missed }: FileCoverage): Problem[] =>
  missed.map((line) => ({ file, line, path: '', message: 'is not covered by any test or case' }));

function testPart(
  { name, paths, rego, cases: dirs, own, sequences: sequenceDirs }: Part,
  settings: LoadedSettings,
  opa: Opa,
  run: RegExp | undefined,
) {
  const isAsked = (each: { name: string }) => run === undefined || run.test(each.name);
  const cases = loadAllCases(dirs, settings, paths, own).filter(isAsked);
  const sequences = loadSequences(sequenceDirs, settings, paths).filter(isAsked);
  return withStage(
    paths,
    async (stage): Promise<{ outcomes: TestOutcome[]; files: FileCoverage[] }> => {
      const modules = sequences.length > 0 ? await parseModules(stage.dir, stage.sources, opa) : [];
      const compiled = await compileStage(stage, modules, opa, sequences.length > 0 ? hashSources(paths) : {});
      const played = await playSequences(sequences, compiled);
      const calls = played.flatMap(callsOf);
      const go = await runInGo(stage.dir, stage.roots, [...cases, ...calls], opa);
      const module = new WebAssembly.Module(new Uint8Array(compiled.wasm));
      const judged = cases.map((entry, i): TestOutcome => {
        const wrong = judgeCase(entry, runInWasm(module, entry), go.decisions[i]);
        return {
          ...{ kind: 'case', name: entry.name, file: shown(entry.file), line: entry.line },
          ok: !wrong,
          ...wrong,
        };
      });
      const inGo = new Map(calls.map((call, i) => [call.input, go.decisions[cases.length + i]]));
      const outcomes = [...judged, ...played.map((each) => judgeSequence(each, inGo))];
      const units = rego.size === 0 ? [] : await runUnits(stage, settings, opa, run?.source);
      const sources = stage.sources.filter((source) => name !== 'site' || source.startsWith('site/'));
      const isWhole = run === undefined && rego.size > 0 && units.every(({ ok }) => ok);
      const files = isWhole ? await coverage(stage, sources, settings, go.covered, opa) : [];
      return { outcomes: [...units, ...outcomes], files };
    },
    rego,
  );
}

/** A sequence as an outcome: what follows the first call that is not as expected says little. */
function judgeSequence(sequence: PlayedSequence, inGo: ReadonlyMap<object, PolicyDecision | undefined>): TestOutcome {
  const { file, line, name, lineOf } = sequence;
  const at = { kind: 'sequence' as const, name, file: shown(file) };
  const failing = failingCall(sequence, inGo);
  if (!failing) return { ...at, line, ok: true };
  const { step, time, wrong } = failing;
  const which = `step ${step + 1}${time > 1 ? ` (time ${time})` : ''}`;
  return { ...at, line: lineOf(step), ok: false, message: `${which}: ${wrong.message}`, detail: wrong.detail };
}
