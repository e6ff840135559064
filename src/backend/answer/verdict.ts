// Judges what an answer of the backend is before anything in it is read as data. The order matters: the end
// of the session is looked for first, because it can come with any status, and "assert" last.
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { Condition, Expired } from '../../config/schema/condition.ts';
import { atPointer, isObject } from '../../formats/json.ts';
import { RPC_ID } from '../http/body.ts';
import type { BackendResponse } from '../http/response.ts';
import { anyHolds, holds, redirectTarget } from './conditions.ts';

/** What an answer is. Only a `good` one is read as data. `detail` contains nothing of the answer but its status. */
export type Verdict =
  | { kind: 'good' }
  /** The session has ended. `beforeEffect`: the configuration vouches that the request had no effect. */
  | { kind: 'expired'; beforeEffect: boolean }
  | { kind: 'csrf_refused' }
  | { kind: 'redirected'; detail: string }
  /**
   * `ours`: the answer satisfies "assert", so it came from a live session and may renew the session's cookie. `refused`:
   * the backend says that it did not do what was asked; otherwise that is not known.
   */
  | { kind: 'failed'; detail: string; ours: boolean; refused: boolean };

/** What the answer to one particular request must look like, on top of what the backend's configuration says. */
export interface Expectation {
  expect?: readonly Condition[] | undefined;
  failed?: readonly Condition[] | undefined;
  assert?: readonly Condition[] | undefined;
  expired?: readonly Expired[] | undefined;
  refused?: readonly Condition[] | undefined;
  request: { jsonrpc?: unknown };
  result?: { as: string };
}

/**
 * `of`: what the request expects; its `assert` replaces that of the backend, the rest is added to it. `base`: the URL of
 * the backend, which tells a redirect on the backend from one that leads elsewhere. `token`: a CSRF token was sent. Where
 * none was, none was refused, whatever the answer says. Throws a PageTooDeepError.
 */
export function judge(
  response: BackendResponse,
  config: BackendConfig,
  of: Expectation,
  base: URL,
  token = false,
): Verdict {
  const text = ['text', 'binary'].includes(of.result?.as ?? '');
  const any = (conditions: readonly Condition[] | undefined) => anyHolds(conditions, response, base, text);
  const expired = [...config.expired, ...(of.expired ?? [])].find((condition) =>
    holds(condition, response, base, text),
  );
  if (expired) return { kind: 'expired', beforeEffect: expired.before_effect };
  if (token && (any(config.csrf?.refused) || any(of.refused))) return { kind: 'csrf_refused' };

  const demanded = of.assert ?? config.assert;
  const asserted = demanded === undefined || demanded.length === 0 || any(demanded);
  const failed = (detail: string, refused: boolean): Verdict => ({
    kind: 'failed',
    detail,
    refused,
    ours: asserted && demanded !== undefined && demanded.length > 0,
  });
  if (any(config.failed) || any(of.failed))
    // A gateway that gave up says so in words of its own, and knows nothing of what was done behind it.
    return failed('the answer shows a failure', response.status < 500);
  const expected = of.expect ? any(of.expect) : response.status >= 200 && response.status < 300;
  if (!expected) {
    if (response.status < 300 || response.status >= 400 || response.location === undefined)
      // A status of the server's own fault, or a good one that is not as expected, says nothing of what was done before.
      return failed(`status ${response.status}`, response.status >= 400 && response.status < 500);
    return { kind: 'redirected', detail: redirectTarget(response, base) ? 'to another page' : 'to another origin' };
  }
  if (of.request.jsonrpc !== undefined) {
    const problem = rpcProblem(response.document);
    if (problem !== undefined) return failed(problem, problem === RPC_ERROR && !isServersFault(response.document));
  }
  // A page that is shown to anonymous visitors as well can look good in every other way.
  return asserted ? { kind: 'good' } : { kind: 'expired', beforeEffect: false };
}

const RPC_ERROR = 'a JSON-RPC error';

/** JSON-RPC 2.0 §5.1: an internal error, or one that a server has for itself, may come in the middle of what was asked. */
function isServersFault(document: unknown): boolean {
  const code = atPointer(document, '/error/code');
  return code === -32603 || (typeof code === 'number' && code <= -32000 && code >= -32099);
}

/**
 * What is wrong with a JSON-RPC answer, or undefined. JSON-RPC 2.0 §5: it has the id of its request, and either a
 * result or an error; `"error": null` beside a result is accepted.
 */
export function rpcProblem(document: unknown): string | undefined {
  if (!isObject(document)) return 'not a JSON-RPC answer';
  if (document.error !== undefined && document.error !== null) return RPC_ERROR;
  return document.id === RPC_ID && 'result' in document ? undefined : 'not a JSON-RPC answer';
}
