// The answer to a refused HTTP request: a status, a fixed code and the request id. An internal error message
// never leaves.
import type { Context } from './state.ts';

/** Codes of refused HTTP requests. Clients may rely on them. */
export type HttpRefusal =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden_host'
  | 'forbidden_origin'
  | 'not_found'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'body_too_large'
  | 'nested_too_deeply'
  | 'unsupported_media_type'
  | 'too_many_requests'
  | 'unavailable'
  | 'internal_error';

const STATUS: Record<HttpRefusal, number> = {
  bad_request: 400,
  unauthorized: 401,
  forbidden_host: 403,
  forbidden_origin: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  body_too_large: 413,
  nested_too_deeply: 400,
  unsupported_media_type: 415,
  too_many_requests: 429,
  unavailable: 503,
  internal_error: 500,
};

/**
 * Sets status and body of the answer, and answers false, as the check does that refuses. `hint` must be a text of ours
 * without anything secret.
 */
export function refuse(ctx: Context, code: HttpRefusal, hint?: string): false {
  ctx.status = STATUS[code];
  ctx.body = { error: code, ...(hint !== undefined && { hint }), request_id: ctx.state.requestId };
  return false;
}
