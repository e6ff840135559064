// The only home of JMESPath (jmespath.site, community edition): picks and reshapes parts of an answer.
import { compile, search } from '@jmespath-community/jmespath';
import { messageOf } from '../core/errors.ts';
import type { Json } from './json.ts';

/** What is wrong with an expression, or undefined. */
export function queryProblem(expression: string): string | undefined {
  try {
    compile(expression);
    return undefined;
  } catch (thrown) {
    return `is not a JMESPath expression: ${messageOf(thrown)}`;
  }
}

/** Undefined when the expression does not fit the document: a function was given what it cannot take. */
export function query(document: Json, expression: string): Json | undefined {
  try {
    return search(document, expression) as Json;
  } catch {
    return undefined;
  }
}
