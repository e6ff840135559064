// Conditions that somebody can fulfil who writes a page, a mail or a ticket: words that may stand anywhere in an answer.
import type { Condition } from '../schema/condition.ts';
import type { ConnectorFile } from '../schema/connector.ts';
import type { Path, PathProblem } from './request.ts';

type Conditions = readonly Condition[] | undefined;

/** What of one backend and its tools can be fulfilled by content, so that it ends sessions or makes an answer a failure. */
export function contentWarnings(
  { backends, tools }: Pick<ConnectorFile, 'backends' | 'tools'>,
  only?: string,
): PathProblem[] {
  return [
    ...Object.entries(backends)
      .filter(([name]) => only === undefined || name === only)
      .flatMap(([name, { expired, failed, csrf }]) => [
        ...warnings(expired, ['backends', name, 'expired']),
        ...warnings(failed, ['backends', name, 'failed']),
        ...warnings(csrf?.refused, ['backends', name, 'csrf', 'refused']),
      ]),
    ...Object.entries(tools)
      .filter(([, { backend }]) => only === undefined || backend === only)
      .flatMap(([name, { expired, failed, refused }]) => [
        ...warnings(expired, ['tools', name, 'expired']),
        ...warnings(failed, ['tools', name, 'failed']),
        ...warnings(refused, ['tools', name, 'refused']),
      ]),
  ];
}

/** A status, a header, a redirect, a field or a value of a document comes from the application, whatever else is in it. */
const OWN = ['status', 'header', 'redirect_to', 'form_field', 'json', 'json_has'] as const;

function warnings(conditions: Conditions, at: Path): PathProblem[] {
  return (conditions ?? []).flatMap((condition, i) => {
    const words = (['body_contains', 'body_matches'] as const).find((key) => condition[key] !== undefined);
    if (words === undefined || OWN.some((key) => condition[key] !== undefined)) return [];
    const message =
      'whoever can write into an answer can fulfil it: put a status or a header (Content-Type) beside it, or have it under the one tool that needs it';
    return [{ path: [...at, i, words], message }];
  });
}
