// What an answer is, decided before anything of it is read as data. The order matters: the end of a
// session first, since it comes with any status; what every good answer must show last.
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { Condition } from '../../config/schema/condition.ts';
import { isObject } from '../../formats/json.ts';
import type { BackendResponse } from '../http/http.ts';
import { anyHolds, holds, redirectTarget } from './conditions.ts';

export type Verdict =
  | { kind: 'good' }
  /** `beforeEffect`: the configuration vouches that nothing was done. */
  | { kind: 'expired'; beforeEffect: boolean }
  | { kind: 'token_refused' }
  | { kind: 'redirected'; detail: string }
  /** `ours`: it shows what the backend shows to those who are logged in. */
  | { kind: 'failed'; detail: string; ours: boolean };

/** What the one request behind a tool, a probe or a CSRF step expects. */
export interface Expectation {
  expect?: readonly Condition[] | undefined;
  failed?: readonly Condition[] | undefined;
  assert?: readonly Condition[] | undefined;
  request: { jsonrpc?: unknown };
}

export function judge(response: BackendResponse, config: BackendConfig, of: Expectation, base: URL): Verdict {
  const expired = config.expired.find((condition) => holds(condition, response, base));
  if (expired) return { kind: 'expired', beforeEffect: expired.before_effect };
  if (anyHolds(config.csrf?.refused, response, base)) return { kind: 'token_refused' };

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
  // A page that has silently turned anonymous looks good in every other way.
  return asserted ? { kind: 'good' } : { kind: 'expired', beforeEffect: false };
}

/** JSON-RPC 2.0 §5: an answer has the id of its request, and either a result or an error. */
export function rpcProblem(document: unknown): string | undefined {
  if (!isObject(document)) return 'not a JSON-RPC answer';
  if (document.error !== undefined && document.error !== null) return 'a JSON-RPC error';
  return document.id === RPC_ID && 'result' in document ? undefined : 'not a JSON-RPC answer';
}

/** Each request has an exchange of its own, so that one id is enough. */
export const RPC_ID = 1;
