// The only home of re2js: regular expressions of the configuration, matched in linear time. They run over
// answers of a system nobody here has seen; a backtracking engine would let one page stop the process.
import { RE2JS } from 're2js';
import { messageOf } from '../core/errors.ts';

export interface Pattern {
  matches(text: string): boolean;
  /** What the first group matched, or undefined. */
  group(text: string): string | undefined;
}

const compiled = new Map<string, Pattern>();

/** Compiled once for each text. Throws for a text that `patternProblem` names. */
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

/** What is wrong with a regular expression (RE2 syntax), or undefined. `groups`: how many it must have. */
export function patternProblem(source: string, groups?: number): string | undefined {
  try {
    const count = RE2JS.compile(source).groupCount();
    if (groups === undefined || count === groups) return undefined;
    return `has ${count} groups; ${groups} is needed ("(?:…)" groups without taking)`;
  } catch (thrown) {
    return messageOf(thrown).replace('error parsing regexp: ', 'is not a regular expression (RE2 syntax): ');
  }
}
