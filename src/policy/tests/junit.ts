// The results as JUnit XML, which the common build servers show.
import { printable } from '../../core/printable.ts';
import type { TestOutcome } from './outcome.ts';
import type { PolicyTestResult } from './run.ts';

/** One suite for each kind. Lines that nothing covers are a suite of their own, so that the file fails where the command does. */
export function junit({ tests, files }: PolicyTestResult): string {
  const kinds: [string, TestOutcome[]][] = [
    ['Rego tests', tests.filter(({ kind }) => kind === 'unit')],
    ['cases', tests.filter(({ kind }) => kind === 'case')],
    ['sequences', tests.filter(({ kind }) => kind === 'sequence')],
    ['coverage', files.map(coverageOf)],
  ];
  const suites = kinds.filter(([, outcomes]) => outcomes.length > 0).map(([name, outcomes]) => suite(name, outcomes));
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sallyport policy test">\n${suites.join('\n')}\n</testsuites>\n`;
}

const coverageOf = ({ file, covered, missed }: PolicyTestResult['files'][number]): TestOutcome => ({
  ...{ kind: 'unit', name: `${file} ${covered} %`, file, line: missed[0] ?? 0, ok: missed.length === 0 },
  ...(missed.length > 0 && { message: `no test or case covers line ${missed.join(', ')}` }),
});

function suite(name: string, outcomes: readonly TestOutcome[]): string {
  const failures = outcomes.filter(({ ok }) => !ok).length;
  const seconds = outcomes.reduce((sum, each) => sum + (each.seconds ?? 0), 0);
  const cases = outcomes.map(testcase).join('\n');
  return `  <testsuite name="${escaped(name)}" tests="${outcomes.length}" failures="${failures}" errors="0" skipped="0" time="${seconds.toFixed(3)}">\n${cases}\n  </testsuite>`;
}

function testcase({ name, file, line, ok, seconds = 0, message = 'failed', detail = [] }: TestOutcome): string {
  const head = `    <testcase classname="${escaped(file)}" name="${escaped(name)}" file="${escaped(file)}" line="${line}" time="${seconds.toFixed(6)}"`;
  if (ok) return `${head}/>`;
  const lines = [`${file}:${line} ${message}`, ...detail].map(escaped).join('\n');
  return `${head}>\n      <failure message="${escaped(message)}">${lines}</failure>\n    </testcase>`;
}

/** XML 1.0 has no control characters, surrogates or U+FFFE, not even escaped. */
const escaped = (text: string): string =>
  printable(text)
    .replace(/[\uFFFE\uFFFF]|\p{Surrogate}/gu, '\uFFFD')
    .replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
