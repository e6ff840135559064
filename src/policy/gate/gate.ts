// The gate: everything that can be known about a policy before it decides. `policy check` and `policy build` go through
// it, and so does a start that has to compile; nothing is served that it refuses.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { type PolicyPaths, type PolicyPlace, policyPaths, shown } from '../../decision/data/paths.ts';
import { readSettingsAt } from '../../decision/data/read.ts';
import { SITE_DATA_MEND, siteDataFiles, strayFiles } from '../../decision/data/site-files.ts';
import {
  type Compiled,
  GATE_VERSION,
  hashSchemas,
  hashSiteSchema,
  hashSources,
  sha256,
} from '../../decision/manifest.ts';
import type { PolicyDecision } from '../../decision/schema.ts';
import type { LoadedSettings, SettingsFile } from '../../decision/settings.ts';
import { canonicalJson } from '../../formats/json.ts';
import { type DecisionCase, loadAllCases } from '../cases.ts';
import { compileStage } from '../compiler.ts';
import type { Opa } from '../opa.ts';
import { type Module, parseModules } from '../rego/modules.ts';
import { type CoverageReport, coveredOf, runInGo, runInWasm } from '../run/cases.ts';
import { opaRun } from '../run/opa.ts';
import { keepCases, summary } from '../run/self-test.ts';
import { callsOf, loadSequences, playSequences } from '../run/sequences.ts';
import { type Stage, withStage } from '../run/stage.ts';
import { type Part, partsOf, testFolders } from '../run/test-folders.ts';
import { editedFiles } from '../update/shipped.ts';
import { checkHeads, checkSettings } from './absent.ts';
import { checkAlerts } from './alerts.ts';
import { checkArguments } from './arguments.ts';
import { createReport, type GateFinding, type Report, type RuleId } from './finding.ts';
import { checkMasks } from './masks.ts';
import { checkMetadata } from './metadata.ts';
import { opaProblems } from './opa-problems.ts';
import { checkPackages } from './packages.ts';
import { checkReach, entrypointTests } from './reach.ts';
import { checkShapes } from './shapes.ts';
import { type ConfiguredNames, checkVocabulary, type Schema, type Vocabulary } from './vocabulary.ts';

export interface GateOptions {
  /** Folder of tests like policy-tests; see `testFolders`. */
  tests?: string | undefined;
  /** The tools and backends of a connector.yaml. */
  names?: ConfiguredNames | undefined;
  /** Throws an OperatorError for settings that do not fit a connector.yaml. */
  checkSettings?: ((settings: SettingsFile) => void) | undefined;
}

/** What the gate found, and the compiled policy with its verdict; undefined when something must be fixed first. */
export interface GateResult {
  findings: GateFinding[];
  compiled: Compiled | undefined;
  settings: LoadedSettings | undefined;
  /** The rules, where they could be read. */
  modules?: readonly Module[];
}

/**
 * Runs the gate. Later checks are left out where an earlier one has found what would make them say nonsense. Rejects
 * with an OperatorError when it cannot run, because tests are missing or OPA does not start.
 */
export async function runGate(place: string | PolicyPlace, opa: Opa, options: GateOptions = {}): Promise<GateResult> {
  const paths = policyPaths(place);
  const before = hashSources(place);
  if (Object.keys(before).length === 0)
    throw new OperatorError(`${join(paths.shipped, 'sallyport')} holds no Rego source`);
  const parts = partsOf(paths, testFolders(paths, options.tests)).filter(({ name }) => name !== 'kept');
  const own = parts.at(-1) as Part;
  const first = fileProblems(paths, options.checkSettings);
  const file = first.some(({ level }) => level === 'error') ? undefined : readSettingsAt(paths);
  if (!file) return { findings: first, compiled: undefined, settings: undefined };
  const { settings } = file;

  return withStage(
    paths,
    async (stage) => {
      const report = createReport(stage);
      report.findings.push(...first);
      const stop = (): GateResult => ({ findings: report.findings, compiled: undefined, settings });
      const failed = () => report.findings.some(({ level }) => level === 'error');
      report.findings.push(...(await opaProblems(stage, opa)));
      if (failed()) return stop();

      const tests = [...own.rego.keys()];
      const modules = await parseModules(stage.dir, stage.sources, opa);
      const testModules = await parseModules(stage.dir, tests, opa);
      checkText(modules, testModules, stage, file, options.names, report);
      if (failed()) return stop();

      const compiled = await compileStage(stage, modules, opa, before);
      checkAlerts(file, Object.keys(compiled.manifest.reasons), report);
      let cases: DecisionCase[] = [];
      let calls: DecisionCase[] = [];
      try {
        cases = parts.flatMap((part) => loadAllCases(part.cases, settings, part.paths, part.own));
        const sequences = parts.flatMap((part) => loadSequences(part.sequences, settings, part.paths));
        calls = (await playSequences(sequences, compiled)).flatMap(callsOf);
      } catch (thrown) {
        report.findings.push(...messageOf(thrown).split('\n').map(problemLine(paths, 'reach')));
        return stop();
      }
      const run = await runInGo(stage.dir, stage.roots, [...cases, ...calls], opa);
      const failing = (message: string) =>
        report.findings.push({
          file: shown(paths.dir),
          line: 0,
          path: '',
          message: failedTests(message),
          rule: 'reach',
          level: 'warning',
        });
      const tested = await coveredByTests(stage, testModules, settings, opa, failing);
      const apart = await Promise.all(parts.slice(0, -1).map((part) => coveredByPart(part, settings, opa, failing)));
      checkReach(modules, [run.covered, ...tested, ...apart.flat()], report);
      const kept = keepCases(cases, run.decisions, report);
      checkExpected(cases, run.decisions, own, report);
      checkWasm(compiled, [...cases, ...calls], run.decisions, report);
      if (failed()) return stop();
      if (JSON.stringify(before) !== JSON.stringify(hashSources(place)))
        throw new OperatorError(`${paths.dir}: the sources changed while they were checked; try again`);
      const gate = {
        version: GATE_VERSION,
        schemas: hashSchemas(paths),
        site_schema: hashSiteSchema(paths),
        cases: sha256(kept),
      };
      return {
        findings: report.findings,
        compiled: { ...compiled, manifest: { ...compiled.manifest, gate }, cases: kept },
        ...{ settings, modules },
      };
    },
    own.rego,
  );
}

/** Settings, data among the rules, shipped files that were edited. */
function fileProblems(paths: PolicyPaths, checkSettings: (settings: SettingsFile) => void = () => {}): GateFinding[] {
  const findings: GateFinding[] = siteDataFiles(paths).map((file) => ({
    file,
    line: 0,
    path: '',
    message: SITE_DATA_MEND,
    rule: 'site',
    level: 'error',
  }));
  for (const file of strayFiles(paths))
    findings.push({
      file,
      line: 0,
      path: '',
      message:
        'is a Rego source that nothing looks at: rules of the site are in site/, in files that end in .rego and begin with no dot',
      rule: 'site',
      level: 'error',
    });
  try {
    checkSettings(readSettingsAt(paths));
  } catch (thrown) {
    findings.push(...messageOf(thrown).split('\n').map(problemLine(paths, 'settings')));
  }
  for (const { file, message } of editedFiles(paths))
    findings.push({ file, line: 0, path: '', message, rule: 'shipped', level: 'warning' });
  return findings;
}

/** A problem that was written as one line: `file:line path: message`. */
function problemLine(paths: PolicyPaths, rule: RuleId): (line: string) => GateFinding {
  return (text) => {
    const [, file = shown(join(paths.dir, 'data.yaml')), line = '0', message = text] =
      /^(\S+?):(\d+):? (.*)$/.exec(text) ?? [];
    return { file, line: Number(line), path: '', message, rule, level: 'error' };
  };
}

function checkText(
  modules: readonly Module[],
  tests: readonly Module[],
  stage: Stage,
  file: SettingsFile,
  names: ConfiguredNames | undefined,
  report: Report,
): void {
  const { settings } = file;
  checkPackages(modules, report);
  for (const { file, package: name, line } of tests)
    if (name === 'site' || name.startsWith('site.'))
      report.error(
        'site',
        { file, row: line },
        `a test may not be in package "${name}", which decides; call it "${name.slice(5) || 'site'}_test"`,
      );
  checkShapes(modules, report);
  checkMetadata(modules, report);
  const schema = join(stage.dir, 'schemas', 'input.json');
  if (!existsSync(schema)) return;
  const input = JSON.parse(readFileSync(schema, 'utf8')) as Schema;
  const words: Vocabulary = { input, zones: new Set(settings.zones ?? []), ...names };
  if (names) words.roles = new Set([...Object.keys(settings.access.roles), ...Object.keys(settings.roles ?? {})]);
  checkVocabulary(modules, words, report);
  checkHeads(modules, input, report);
  checkSettings(modules, file, report);
  if (!names) return;
  checkArguments(modules, names.tools, report);
  checkMasks(modules, names.tools, words.roles ?? new Set(), report);
}

/** What the tests that ask an entrypoint evaluate. */
async function coveredByTests(
  stage: Stage,
  tests: readonly Module[],
  settings: LoadedSettings,
  opa: Opa,
  failed: (message: string) => void,
) {
  const pattern = entrypointTests(tests);
  if (pattern === undefined) return [];
  // OPA reports no coverage when a test fails, so what the others cover is not known, either.
  const text = await runTests(stage, settings, opa, ['--coverage', '--run', pattern]).catch((thrown) => {
    failed(messageOf(thrown));
    return '{}';
  });
  const report = JSON.parse(text) as Partial<CoverageReport>;
  return report.files ? [coveredOf({ files: report.files })] : [];
}

/** A case of the site says what its rules are for. What the shipped cases expect is a matter of "policy test". */
function checkExpected(
  cases: readonly DecisionCase[],
  decisions: readonly (PolicyDecision | undefined)[],
  { name, cases: dirs }: Part,
  report: Report,
): void {
  if (name !== 'site') return;
  cases.forEach(({ file, line, name: title, expect }, i) => {
    if (file.startsWith(`${dirs[0]}/`)) return;
    const got = summary(decisions[i]);
    const [said, is] = [
      [expect.outcome, ...[...new Set(expect.reasons)].sort()],
      [got?.outcome, ...(got?.reasons ?? [])],
    ];
    if (canonicalJson(said) !== canonicalJson(is))
      report.findings.push({
        file: shown(file),
        line,
        path: '',
        message: `${title}: expected ${said.join(' ')}, got ${is.join(' ')}`,
        rule: 'reach',
        level: 'error',
      });
  });
}

/** The compiled policy must load, and decide every case as the Go evaluator does, with which the rules are tested. */
function checkWasm(
  { wasm }: Pick<Compiled, 'wasm'>,
  cases: readonly DecisionCase[],
  inGo: readonly (PolicyDecision | undefined)[],
  report: Report,
): void {
  const found = (file: string, line: number, message: string) =>
    report.findings.push({ file, line, path: '', message, rule: 'compiled', level: 'error' });
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(new Uint8Array(wasm));
  } catch (thrown) {
    found('policy.wasm', 0, `OPA compiles these rules to WebAssembly that does not load: ${messageOf(thrown)}`);
    return;
  }
  cases.forEach((entry, i) => {
    const evaluation = runInWasm(module, entry);
    if (!evaluation.ok)
      found(
        shown(entry.file),
        entry.line,
        `${entry.name}: the WebAssembly gives ${evaluation.code} (${evaluation.detail})`,
      );
    else if (canonicalJson(summary(evaluation.decision)) !== canonicalJson(summary(inGo[i])))
      found(shown(entry.file), entry.line, `${entry.name}: the WebAssembly decides otherwise than the evaluator in Go`);
  });
}

/** What the tests of the shipped rules evaluate, without the rules of the site. */
const coveredByPart = ({ paths, rego }: Part, settings: LoadedSettings, opa: Opa, failed: (message: string) => void) =>
  withStage(
    paths,
    async (stage) => coveredByTests(stage, await parseModules(stage.dir, [...rego.keys()], opa), settings, opa, failed),
    rego,
  );

/** Which tests failed, of what OPA printed. */
const failedTests = (message: string): string =>
  `Rego tests fail, so what they reach is not known: ${[...new Set(message.match(/test_\w+/g) ?? [])].join(', ') || message}`;

/** Runs the Rego tests of a stage and answers the report. One that fails makes OPA exit with an error. */
export async function runTests(
  stage: Stage,
  settings: LoadedSettings,
  opa: Opa,
  args: string[],
  format: 'json' | 'pretty' = 'json',
): Promise<string> {
  if (!existsSync(join(stage.dir, 'tests'))) return '[]';
  // Several may run at the same time, and none may read it half written.
  const data = join(stage.dir, 'data.json');
  if (!existsSync(data)) writeFileSync(data, JSON.stringify({ settings }));
  return opaRun(opa, stage.dir, ['test', '--format', format, ...args, ...stage.roots, 'data.json', 'tests'], true);
}
