// Runs cases through both evaluators: the Go one of OPA, which also tells which rules fired, and the WASM.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEvaluator, type Evaluation } from '../../decision/evaluator.ts';
import type { ListingInput, PolicyDecision } from '../../decision/schema.ts';
import type { DecisionCase } from '../cases.ts';
import type { Opa } from '../opa.ts';
import { opaRun } from './opa.ts';

/** Lines that were evaluated, by file: the beginning of each head and expression, as "row:column". */
export type Covered = ReadonlyMap<string, ReadonlySet<string>>;

/** The report of `--coverage`. */
export interface CoverageReport {
  coverage: number;
  files: Record<string, { covered?: Range[]; not_covered?: Range[] }>;
}
interface Range {
  start: { row: number; col: number };
  end: { row: number };
}

/** What was evaluated, of a report. */
export const coveredOf = ({ files }: Pick<CoverageReport, 'files'>): Covered =>
  new Map(
    Object.entries(files).map(([file, { covered = [] }]) => [
      file,
      new Set(covered.map(({ start }) => `${start.row}:${start.col}`)),
    ]),
  );

/** The decisions of the Go evaluator, and what they evaluated. */
export interface GoRun {
  decisions: (PolicyDecision | undefined)[];
  covered: Covered;
}

/** Evaluates all cases in one run of the Go evaluator, because each run takes 30 ms to start. */
export async function runInGo(
  stage: string,
  roots: readonly string[],
  cases: readonly DecisionCase[],
  opa: Opa,
): Promise<GoRun> {
  const listing = listingOf(cases);
  const data = join(stage, 'cases.json');
  writeFileSync(
    data,
    JSON.stringify({
      cases: cases.map(({ input, settings }) => ({ input, settings, listing: { ...listing, client: input.client } })),
    }),
  );
  // Input and settings are bound to names first: when `with` is given `c.input` directly, OPA 1.22.2 evaluates
  // as if `c` were unbound. What a client sees is asked as well, so that the rules of the listing are evaluated.
  const query =
    '[[d, v] | some c in data.cases; i := c.input; s := c.settings; l := c.listing; d := [x | x := data.sallyport.decision with input as i with data.settings as s]; v := [x | x := data.sallyport.visible with input as l with data.settings as s]]';
  const paths = [...roots, 'cases.json'].flatMap((root) => ['-d', root]);
  const output = await opaRun(opa, stage, ['eval', '--coverage', '--format', 'json', ...paths, query]);
  const { result, coverage } = JSON.parse(output) as {
    result?: { expressions: { value: [[PolicyDecision?], unknown][] }[] }[];
    coverage: CoverageReport;
  };
  const values = result?.[0]?.expressions[0]?.value ?? [];
  return { decisions: values.map(([[decision]]) => decision), covered: coveredOf(coverage) };
}

/** Evaluates one case in the WASM. */
export function runInWasm(module: WebAssembly.Module, { input, settings }: DecisionCase): Evaluation {
  return createEvaluator({ module, data: { settings }, budgetMs: 10_000 }).evaluate(input);
}

function listingOf(cases: readonly DecisionCase[]): Pick<ListingInput, 'version' | 'tools'> {
  const tools = new Map(cases.map(({ input: { tool } }) => [tool.name, tool]));
  return { version: 1, tools: [...tools.values()].map(({ name, backend, effect }) => ({ name, backend, effect })) };
}
