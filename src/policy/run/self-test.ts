// The cases that travel with a compiled policy: what it decided when it was built. A start asks the WASM again, so that a
// policy which decides otherwise on this machine is not served.
import { z } from 'zod';
import { withMerged } from '../../decision/data/merge.ts';
import { createEvaluator, type Evaluation } from '../../decision/evaluator.ts';
import { inputSchema, type PolicyDecision } from '../../decision/schema.ts';
import { settingsSchema } from '../../decision/settings.ts';
import { canonicalJson } from '../../formats/json.ts';
import type { DecisionCase } from '../cases.ts';
import type { Report } from '../gate/finding.ts';

/** Reasons that say a rule gave something that is none. */
const FAULTS = ['decision.unknown_grade', 'decision.wrong_shape'];

/** The text of cases.json, with each setting that several cases share once. Reports each case that shows a fault. */
export function keepCases(
  cases: readonly DecisionCase[],
  decisions: readonly (PolicyDecision | undefined)[],
  report: Report,
): string {
  const settings = new Map<string, number>();
  const kept = cases.map(({ file, line, name, input, settings: own, expect }, i) => {
    const decision = decisions[i];
    for (const { code, params } of decision?.reasons ?? [])
      if (FAULTS.includes(code) && !expect.reasons.includes(code))
        report.findings.push({
          file,
          line,
          path: '',
          message: `${name}: ${params.by} gives ${code === FAULTS[0] ? `grade "${params.grade}", which is none` : `something that is no ${params.part}`} (${code})`,
          rule: 'shape',
          level: 'error',
        });
    const { merged: _merged, ...plain } = own;
    const text = canonicalJson(plain);
    if (!settings.has(text)) settings.set(text, settings.size);
    return { name, settings: settings.get(text), input, decides: summary(decision) };
  });
  return `${JSON.stringify({ version: 1, settings: [...settings.keys()].map((text) => JSON.parse(text)), cases: kept })}\n`;
}

/** What of a decision is compared. */
export const summary = (decision: PolicyDecision | undefined) =>
  decision && {
    outcome: decision.outcome,
    reasons: [...new Set(decision.reasons.map(({ code }) => code))].sort(),
    obligations: decision.obligations.map(({ type }) => type).sort(),
  };

const keptSchema = z.strictObject({
  version: z.literal(1),
  settings: z.array(settingsSchema),
  cases: z.array(
    z.strictObject({
      name: z.string(),
      settings: z.int().nonnegative(),
      input: inputSchema,
      decides: z.unknown(),
    }),
  ),
});

/** A machine may be very busy. */
const BUDGET_MS = 10_000;

/**
 * Asks the WASM the cases again. Answers what it decides otherwise, or takes too long for, a line for each. No case takes
 * more than twice `budgetMs`: on a busy machine the process may have been put aside the first time.
 */
export function selfTest(module: WebAssembly.Module, text: string, budgetMs = BUDGET_MS): string[] {
  let read: unknown;
  try {
    // As it was decided on at the build: numbers are those of JSON.
    read = JSON.parse(text);
  } catch {
    return ['cases.json cannot be read'];
  }
  const kept = keptSchema.safeParse(read);
  if (!kept.success) return ['cases.json cannot be read'];
  const evaluators = kept.data.settings.map((settings) =>
    createEvaluator({
      ...{ module, data: { settings: withMerged(settings) }, budgetMs },
      guard: { ms: budgetMs, always: () => true },
    }),
  );
  return kept.data.cases.flatMap(({ name, settings, input, decides }) => {
    const evaluator = evaluators[settings];
    if (!evaluator) return [`case "${name}" (without settings)`];
    let evaluation = evaluator.evaluate(input);
    if (isLate(evaluation)) evaluation = evaluator.evaluate(input);
    if (isLate(evaluation)) return [`case "${name}" takes more than ${budgetMs} ms`];
    const got = evaluation.ok ? summary(evaluation.decision) : evaluation.code;
    return canonicalJson(got) === canonicalJson(decides) ? [] : [`case "${name}"`];
  });
}

const isLate = (evaluation: Evaluation): boolean => !evaluation.ok && evaluation.code === 'decision.over_budget';
