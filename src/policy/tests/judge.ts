// Judges a decision that was made on a case or on a call of a sequence: what was expected beside what came, and what the evaluator
// in Go says beside what the WebAssembly says.
import type { Evaluation } from '../../decision/evaluator.ts';
import type { PolicyDecision, Reason } from '../../decision/schema.ts';
import { canonicalJson } from '../../formats/json.ts';
import type { Played } from '../../rehearsal/play.ts';
import type { DecisionCase } from '../cases.ts';

/** What is wrong, in a line and in lines; undefined where all is right. */
export interface Wrong {
  message: string;
  detail: string[];
}

interface Summary {
  outcome: string | undefined;
  reasons: string[];
  observed: string[];
  obligations: string[];
  session?: string;
}

/** What a case says, and what both evaluators say. */
export function judgeCase(
  { expect }: Pick<DecisionCase, 'expect'>,
  evaluation: Evaluation,
  inGo: PolicyDecision | undefined,
): Wrong | undefined {
  if (!evaluation.ok)
    return { message: `the WebAssembly gives no decision: ${evaluation.code} (${evaluation.detail})`, detail: [] };
  return differing(evaluation.decision, inGo) ?? judgeExpected(expect, summaryOf(evaluation.decision));
}

/** Where the two evaluators decide otherwise: part by part, side by side. */
function differing(wasm: PolicyDecision | undefined, go: PolicyDecision | undefined): Wrong | undefined {
  const [a, b] = [normal(wasm), normal(go)];
  if (canonicalJson(a) === canonicalJson(b)) return undefined;
  const parts = ['outcome', 'reasons', 'observed', 'obligations'] as const;
  const rows = parts.flatMap((part) => {
    const [left, right] = [linesOf(a?.[part]), linesOf(b?.[part])];
    const same = canonicalJson(left) === canonicalJson(right);
    const length = same ? 0 : Math.max(left.length, right.length);
    return Array.from({ length }, (_, i): [string, string, string] => [
      i === 0 ? part : '',
      left[i] ?? '',
      right[i] ?? '',
    ]);
  });
  return { message: 'WebAssembly and Go decide otherwise', detail: columns([['', 'WebAssembly', 'Go'], ...rows]) };
}

/** What differs from what was expected; what the expectation does not name may be anything. */
export function judgeExpected(
  expect: {
    outcome: string;
    reasons: string[];
    observed?: string[] | undefined;
    obligations?: string[] | undefined;
    session?: string | undefined;
  },
  got: Summary,
): Wrong | undefined {
  const want: [keyof Summary, string | string[] | undefined][] = [
    ['outcome', expect.outcome],
    ['reasons', [...new Set(expect.reasons)].sort()],
    ['observed', expect.observed && [...expect.observed].sort()],
    ['obligations', expect.obligations && [...expect.obligations].sort()],
    ['session', expect.session],
  ];
  const wrong = want.filter(
    ([part, value]) => value !== undefined && canonicalJson(value) !== canonicalJson(got[part]),
  );
  if (wrong.length === 0) return undefined;
  const words = (value: unknown) => (Array.isArray(value) ? value.join(', ') || 'none' : String(value ?? 'none'));
  const rows = wrong.map(([part, value]): [string, string, string] => [part, words(value), words(got[part])]);
  return {
    message: `expected ${expect.outcome} (${expect.reasons.join(', ')}), got ${got.outcome} (${got.reasons.join(', ')})`,
    detail: columns([['', 'expected', 'got'], ...rows]),
  };
}

/**
 * The first call of a sequence that is not as expected, or on which the evaluator in Go decides otherwise. `inGo`: its decisions, by
 * the input; one that it was not asked about is judged by what is expected alone.
 */
export function failingCall(
  { played }: { played: readonly Played[] },
  inGo: ReadonlyMap<object, PolicyDecision | undefined> = new Map(),
): { step: number; time: number; wrong: Wrong } | undefined {
  for (const { step, time, input, decision, outcome, reasons, session, expect } of played) {
    const other = inGo.has(input) ? differing(decision, inGo.get(input)) : undefined;
    const wrong = other ?? (expect && judgeExpected(expect, { ...summaryOf(decision), outcome, reasons, session }));
    if (wrong) return { step, time, wrong };
  }
  return undefined;
}

export const summaryOf = (decision: PolicyDecision | undefined): Summary => ({
  outcome: decision?.outcome,
  reasons: codesOf(decision?.reasons),
  observed: codesOf(decision?.observed),
  obligations: (decision?.obligations ?? []).map((each) => each.type).sort(),
});

const codesOf = (reasons: readonly Reason[] = []): string[] =>
  [...new Set(reasons.map((reason) => reason.code))].sort();

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

const linesOf = (part: unknown): string[] =>
  Array.isArray(part) ? part.map((each) => canonicalJson(each)) : part === undefined ? ['no decision'] : [String(part)];

function columns(rows: readonly [string, string, string][]): string[] {
  const widths = [0, 1].map((i) => Math.max(...rows.map((row) => (row[i] as string).length))) as [number, number];
  return rows.map(([a, b, c]) => `${a.padEnd(widths[0])}  ${b.padEnd(widths[1])}  ${c}`.trimEnd());
}
