// `--set path=value`: gives a value that a record no longer holds, or asks "what if".
import { OperatorError } from '../../../core/errors.ts';
import { withValue } from '../../../policy/explain/nearest.ts';

/**
 * An input with these values. A path is below the input ("tool.arguments.amount"); a value is JSON, or else text. Throws an
 * OperatorError for what has no "=".
 */
export function withSet(input: object, assignments: readonly string[]): object {
  return assignments.reduce<object>((changed, assignment) => {
    const [path, value] = parsedSet(assignment);
    return withValue(changed, path, value) as object;
  }, input);
}

/** The path and the value of one. */
export function parsedSet(assignment: string): [path: string[], value: unknown] {
  const at = assignment.indexOf('=');
  if (at < 1)
    throw new OperatorError(`--set ${JSON.stringify(assignment)}: write path=value, as in tool.arguments.amount=5`);
  const path = assignment
    .slice(0, at)
    .replace(/^input\./, '')
    .split('.');
  const text = assignment.slice(at + 1);
  try {
    return [path, JSON.parse(text)];
  } catch {
    return [path, text];
  }
}
