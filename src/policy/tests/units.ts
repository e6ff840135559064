// The Rego tests of a policy, run by OPA. One that fails shows the values in the condition that failed, and the way there.
import { OperatorError } from '../../core/errors.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import { runTests } from '../gate/gate.ts';
import type { Opa } from '../opa.ts';
import type { CoverageReport, Covered } from '../run/cases.ts';
import type { Stage } from '../run/stage.ts';
import type { TestOutcome } from './outcome.ts';

interface Reported {
  location: { file: string; row: number };
  package: string;
  name: string;
  fail?: boolean;
  error?: unknown;
  /** In nanoseconds. */
  duration?: number;
}

interface OpaError {
  message: string;
  location?: { file: string; row: number };
}

/** `pattern`: only those whose name it meets, such as "data.sallyport.access_test.test_role". */
export async function runUnits(
  stage: Stage,
  settings: LoadedSettings,
  opa: Opa,
  pattern?: string,
): Promise<TestOutcome[]> {
  const only = pattern === undefined ? [] : ['--run', pattern];
  const text = await runTests(stage, settings, opa, only);
  const results = (JSON.parse(text || '[]') ?? []) as Reported[] | { errors?: OpaError[] };
  if (!Array.isArray(results)) throw new OperatorError(failure(results, stage));
  const outcomes: TestOutcome[] = [];
  for (const { location, package: of, name, fail, error, duration = 0 } of results) {
    const ok = !fail && error === undefined;
    outcomes.push({
      ...{ kind: 'unit', name, file: stage.original(location.file), line: location.row, ok, seconds: duration / 1e9 },
      ...(!ok && { message: 'failed', detail: await traced(stage, settings, opa, `${of}.${name}`) }),
    });
  }
  return outcomes;
}

const failure = (report: { errors?: OpaError[] }, stage: Stage): string =>
  report.errors
    ?.map(({ message, location }) => `${location ? `${stage.original(location.file)}:${location.row} ` : ''}${message}`)
    .join('\n') ?? 'there is no Rego test';

const LONGEST_LINE = 200;
const MOST_LINES = 40;

/** What OPA says of one test that fails: the trace of what failed, and the values in it. */
async function traced(stage: Stage, settings: LoadedSettings, opa: Opa, name: string): Promise<string[]> {
  const pattern = `^${name.replaceAll('.', '\\.')}$`;
  const text = await runTests(stage, settings, opa, ['--run', pattern, '--var-values'], 'pretty').catch(() => '');
  const lines = text.split('\n').map((line) => line.trimEnd());
  const from = lines.findIndex((line) => line.startsWith(`${name}: `));
  const to = lines.findLastIndex((line) => /^-{20,}$/.test(line));
  const kept = lines.slice(from + 1, to > from ? to : undefined).filter((line) => line !== '');
  const cut = kept.map((line) => (line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line));
  return cut.length > MOST_LINES ? ['…', ...cut.slice(-MOST_LINES)] : cut;
}

/** How much of one source tests and cases cover. */
export interface FileCoverage {
  file: string;
  /** In percent of its lines. */
  covered: number;
  missed: number[];
}

/** What tests and cases cover of the sources. What a case evaluates is covered, too. */
export async function coverage(
  stage: Stage,
  sources: readonly string[],
  settings: LoadedSettings,
  byCases: Covered,
  opa: Opa,
): Promise<FileCoverage[]> {
  const report = JSON.parse(await runTests(stage, settings, opa, ['--coverage'])) as CoverageReport;
  return sources.map((file) => {
    const { covered = [], not_covered: open = [] } = report.files[file] ?? {};
    const missed = open
      .filter(({ start }) => !byCases.get(file)?.has(`${start.row}:${start.col}`))
      .map(({ start }) => start.row);
    const all = covered.length + open.length;
    const part = all === 0 ? 100 : ((all - missed.length) / all) * 100;
    return {
      file: stage.original(file),
      covered: missed.length === 0 ? 100 : Math.min(99.9, Math.round(part * 10) / 10),
      missed,
    };
  });
}
