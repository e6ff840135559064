// The last catch: a fault of ours answers 500 with a request id, and its text goes to the operational
// log as a name only, since messages may quote what they choked on.
import type { OpsLog } from '../../audit/ops.ts';
import { refuse } from '../refuse.ts';
import type { Middleware } from '../state.ts';

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
