// What the gate finds. A problem refuses the policy; a warning is told.
import type { Problem } from '../../formats/yaml/yaml.ts';
import type { Location } from '../rego/terms.ts';
import type { Stage } from '../run/stage.ts';

/** Stable names of what is checked, for code review tools. */
export type RuleId =
  | 'settings'
  | 'type'
  | 'format'
  | 'site'
  | 'metadata'
  | 'grade'
  | 'reason'
  | 'obligation'
  | 'vocabulary'
  | 'own-place'
  | 'arguments'
  | 'mask'
  | 'reach'
  | 'shape'
  | 'compiled'
  | 'shipped'
  | 'matrix'
  | 'posture';

/** One problem or warning, with the file as a person knows it. */
export interface GateFinding extends Problem {
  rule: RuleId;
  level: 'error' | 'warning';
}

/** Makes findings about places in a staged policy. */
export interface Report {
  readonly findings: GateFinding[];
  error(rule: RuleId, at: Location | undefined, message: string): void;
  warn(rule: RuleId, at: Location | undefined, message: string): void;
}

export function createReport(stage: Pick<Stage, 'original'>): Report {
  const findings: GateFinding[] = [];
  const add = (level: GateFinding['level']) => (rule: RuleId, at: Location | undefined, message: string) => {
    const finding = { file: stage.original(at?.file ?? ''), line: at?.row ?? 0, path: '', message, rule, level };
    // A rule with several bodies, or a call in two places, would say the same twice.
    if (!findings.some((f) => f.file === finding.file && f.line === finding.line && f.message === message))
      findings.push(finding);
  };
  return { findings, error: add('error'), warn: add('warning') };
}

/** "a", "b" or "c". */
export const oneOf = (names: Iterable<string>): string => [...names].map((name) => `"${name}"`).join(', ');

/** The known name that a wrong one was probably meant to be. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const scored = [...known].map(
    (candidate) => [distance(name.toLowerCase(), candidate.toLowerCase()), candidate] as const,
  );
  const [best] = scored.sort(([a], [b]) => a - b);
  return best && best[0] <= Math.max(1, Math.floor(name.length / 3)) ? best[1] : undefined;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(
        (next[j - 1] ?? 0) + 1,
        (row[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}
