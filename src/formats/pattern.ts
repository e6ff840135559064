// The only home of re2js: regular expressions of the configuration, matched in linear time. They run over answers
// of systems we do not know; with a backtracking engine, one page could stop the process.
import { RE2JS } from 're2js';
import { messageOf } from '../core/errors.ts';

/** A compiled regular expression. It may match anywhere in a text. */
export interface Pattern {
  /** Whether the text has a match. */
  matches(text: string): boolean;
  /** What the first group of the first match took, or undefined. */
  group(text: string): string | undefined;
}

const compiled = new Map<string, Pattern>();

/**
 * Answers the compiled expression; each text is compiled only once. Throws for a text in which `patternProblem`
 * finds something wrong.
 */
export function pattern(source: string): Pattern {
  const known = compiled.get(source);
  if (known) return known;
  const expression = RE2JS.compile(source);
  const fresh: Pattern = {
    matches: (text) => expression.matcher(text).find(),
    group(text) {
      const matcher = expression.matcher(text);
      return matcher.find() ? (matcher.group(1) ?? undefined) : undefined;
    },
  };
  compiled.set(source, fresh);
  return fresh;
}

/**
 * Answers what is wrong with a regular expression (RE2 syntax), or undefined when it can be used. `groups` is the
 * number of groups it must have.
 */
export function patternProblem(source: string, groups?: number): string | undefined {
  try {
    const count = RE2JS.compile(source).groupCount();
    if (groups === undefined || count === groups) return undefined;
    return `has ${count} groups; ${groups} is needed ("(?:…)" groups without taking)`;
  } catch (thrown) {
    return messageOf(thrown).replace('error parsing regexp: ', 'is not a regular expression (RE2 syntax): ');
  }
}
