// Placeholders of a request that nothing fills, and secrets in places where they would be written down.
import { placeholders, templateParts } from '../../formats/template.ts';
import type { RequestTemplate } from '../schema/request.ts';

export type Path = (string | number)[];

export interface PathProblem {
  path: Path;
  message: string;
}

/** Names a template may use: those with text, and those with hidden fields. */
export interface Known {
  texts: ReadonlySet<string>;
  hidden?: ReadonlySet<string>;
}

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

export function unknownNames(template: string, path: Path, known: ReadonlySet<string>): PathProblem[] {
  return placeholders(template)
    .filter((name) => !known.has(name) && !known.has(name.replace(/\..*$/, '.*')))
    .map((name) => ({
      path,
      message: `nothing fills the placeholder {${name}}; known here: ${[...known].join(', ') || 'none'}`,
    }));
}

/** URLs end up in the logs of whatever stands between. */
function sessionInUrl(template: string, path: Path, place: string | number | undefined): PathProblem[] {
  if (place !== 'path' && place !== 'query') return [];
  return placeholders(template)
    .filter((name) => name.startsWith('session.'))
    .map((name) => ({ path, message: `{${name}} does not belong into a URL, which is written to logs` }));
}
