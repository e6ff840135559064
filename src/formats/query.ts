// The only home of JMESPath (jmespath.site, community edition): picks and reshapes parts of an answer.
import { compile, search } from '@jmespath-community/jmespath';
import { messageOf } from '../core/errors.ts';
import type { Json } from './json.ts';

/** Answers what is wrong with an expression, or undefined when it can be used. */
export function queryProblem(expression: string): string | undefined {
  try {
    compile(expression);
    return undefined;
  } catch (thrown) {
    return `is not a JMESPath expression: ${messageOf(thrown)}`;
  }
}

/**
 * Applies an expression to a document. Answers undefined when they do not fit, such as when a function gets an
 * argument of the wrong type.
 */
export function query(document: Json, expression: string): Json | undefined {
  try {
    return search(document, expression) as Json;
  } catch {
    return undefined;
  }
}
