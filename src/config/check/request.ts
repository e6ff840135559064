// Checks one request template for placeholders that nothing fills, and for session values in its URL.
import { placeholders, templateParts } from '../../formats/template.ts';
import type { RequestTemplate } from '../schema/request.ts';

/** Where something stands in connector.yaml: keys, and positions in lists from 0. */
export type Path = (string | number)[];

/** One thing that is wrong with the configuration. The line is found from the path. */
export interface PathProblem {
  path: Path;
  message: string;
}

/** The names that have a value here: `texts` for placeholders, `hidden` for the fields that "hidden_fields" sends. */
export interface Known {
  texts: ReadonlySet<string>;
  hidden?: ReadonlySet<string>;
}

/** All problems of the request that stands at the path `at`. */
export function checkRequest(request: RequestTemplate, at: Path, { texts, hidden = new Set() }: Known): PathProblem[] {
  const problems = templateParts(request).flatMap(({ path, template }) => [
    ...unknownNames(template, [...at, ...path], texts),
    ...sessionInUrl(template, [...at, ...path], path[0]),
  ]);
  if (request.hidden_fields !== undefined && !hidden.has(request.hidden_fields)) {
    problems.push({
      path: [...at, 'hidden_fields'],
      message: `no earlier step extracts hidden_fields under "${request.hidden_fields}"`,
    });
  }
  return problems;
}

/** A problem for each placeholder whose name is not in `known`. "credentials.*" in it stands for any credential. */
export function unknownNames(template: string, path: Path, known: ReadonlySet<string>): PathProblem[] {
  return placeholders(template)
    .filter((name) => !known.has(name) && !known.has(name.replace(/\..*$/, '.*')))
    .map((name) => ({
      path,
      message: `nothing fills the placeholder {${name}}; known here: ${[...known].join(', ') || 'none'}`,
    }));
}

/** proxies and servers write URLs to their logs, so a value of the session must not be part of one. */
function sessionInUrl(template: string, path: Path, place: string | number | undefined): PathProblem[] {
  if (place !== 'path' && place !== 'query') return [];
  return placeholders(template)
    .filter((name) => name.startsWith('session.'))
    .map((name) => ({ path, message: `{${name}} does not belong into a URL, which is written to logs` }));
}
