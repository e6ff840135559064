// /healthz: the process answers. /readyz: it can take calls. For orchestrators, so they need no
// credential and come before the Host check; they say no more than yes or which part says no.
import { refuse } from '../refuse.ts';
import type { Middleware } from '../state.ts';

/** Names of the parts that are not ready. Empty: ready. */
export type Readiness = () => Promise<string[]>;

export function health(readiness: Readiness): Middleware {
  return async (ctx, next) => {
    if (ctx.path !== '/healthz' && ctx.path !== '/readyz') return next();
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD');
      return refuse(ctx, 'method_not_allowed');
    }
    const failing = ctx.path === '/readyz' ? await readiness() : [];
    ctx.status = failing.length === 0 ? 200 : 503;
    ctx.body = failing.length === 0 ? { status: 'ok' } : { status: 'unavailable', failing };
  };
}
