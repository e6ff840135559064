// Catches what no other code has caught. The client gets a 500 with the request id. The operational log gets only
// the name of the error, because its message may quote parts of the request.
import type { OpsLog } from '../../audit/ops.ts';
import { refuse } from '../refuse.ts';
import type { Middleware } from '../state.ts';

/** Answers 500 for an error thrown further in; cuts the connection when an answer has already begun. */
export function faults(ops: OpsLog): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (thrown) {
      ops.error('request failed', {
        request_id: ctx.state.requestId,
        error: thrown instanceof Error ? thrown.name : typeof thrown,
      });
      if (ctx.headerSent) ctx.res.destroy();
      else refuse(ctx, 'internal_error');
    }
  };
}
