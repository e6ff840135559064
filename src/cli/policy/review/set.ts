// `--set path=value`: gives a value that a record no longer holds, or asks "what if".
import { OperatorError } from '../../../core/errors.ts';
import { pointerTokens } from '../../../formats/json.ts';
import { withValue } from '../../../policy/explain/nearest.ts';

/**
 * An input with these values. A path is below the input ("tool.arguments.amount", or "/tool/arguments/a.b"); a value is JSON, or text. Throws an
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
  const left = assignment.slice(0, at);
  const path = left.startsWith('/') ? pointerTokens(left) : left.replace(/^input\./, '').split('.');
  const text = assignment.slice(at + 1);
  try {
    return [path, JSON.parse(text)];
  } catch {
    return [path, text];
  }
}
