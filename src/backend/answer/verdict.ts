// Judges what an answer of the backend is before anything in it is read as data. The order matters: the end
// of the session is looked for first, because it can come with any status, and "assert" last.
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { Condition } from '../../config/schema/condition.ts';
import { isObject } from '../../formats/json.ts';
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
  /** `ours`: the answer satisfies "assert", so it came from a live session and may renew the session's cookie. */
  | { kind: 'failed'; detail: string; ours: boolean };

/** What the answer to one particular request must look like, on top of what the backend's configuration says. */
export interface Expectation {
  expect?: readonly Condition[] | undefined;
  failed?: readonly Condition[] | undefined;
  assert?: readonly Condition[] | undefined;
  request: { jsonrpc?: unknown };
}

/**
 * `of`: what the request expects; its `assert` replaces that of the backend. `base`: the URL of the backend, which
 * tells a redirect on the backend from one that leads elsewhere. Throws a PageTooDeepError.
 */
export function judge(response: BackendResponse, config: BackendConfig, of: Expectation, base: URL): Verdict {
  const expired = config.expired.find((condition) => holds(condition, response, base));
  if (expired) return { kind: 'expired', beforeEffect: expired.before_effect };
  if (anyHolds(config.csrf?.refused, response, base)) return { kind: 'csrf_refused' };

  const demanded = of.assert ?? config.assert;
  const asserted = demanded === undefined || demanded.length === 0 || anyHolds(demanded, response, base);
  const failed = (detail: string): Verdict => ({
    kind: 'failed',
    detail,
    ours: asserted && demanded !== undefined && demanded.length > 0,
  });
  if (anyHolds(config.failed, response, base) || anyHolds(of.failed, response, base))
    return failed('the answer shows a failure');
  const expected = of.expect ? anyHolds(of.expect, response, base) : response.status >= 200 && response.status < 300;
  if (!expected) {
    if (response.status < 300 || response.status >= 400 || response.location === undefined)
      return failed(`status ${response.status}`);
    return { kind: 'redirected', detail: redirectTarget(response, base) ? 'to another page' : 'to another origin' };
  }
  if (of.request.jsonrpc !== undefined) {
    const problem = rpcProblem(response.document);
    if (problem !== undefined) return failed(problem);
  }
  // A page that is shown to anonymous visitors as well can look good in every other way.
  return asserted ? { kind: 'good' } : { kind: 'expired', beforeEffect: false };
}

/**
 * What is wrong with a JSON-RPC answer, or undefined. JSON-RPC 2.0 §5: it has the id of its request, and either a
 * result or an error; `"error": null` beside a result is accepted.
 */
export function rpcProblem(document: unknown): string | undefined {
  if (!isObject(document)) return 'not a JSON-RPC answer';
  if (document.error !== undefined && document.error !== null) return 'a JSON-RPC error';
  return document.id === RPC_ID && 'result' in document ? undefined : 'not a JSON-RPC answer';
}
