// /livez (and /healthz, its older name) says that the process answers, /readyz that it can take calls. Orchestrators ask them, so they need no
// credential and come before the check of Host; they tell no more than yes, or which part is not ready.
import { PROBES } from '../access-log.ts';
import { refuse } from '../refuse.ts';
import type { Check, Context } from '../state.ts';

/** Answers the names of the parts that are not ready; an empty list means ready. */
export type Readiness = () => Promise<string[]>;

/** Answers /livez, /healthz and /readyz with 200 or 503, and passes on every other path. */
export function health(readiness: Readiness): Check {
  return (ctx) => (PROBES.has(ctx.state.path) ? answer(ctx) : true);

  async function answer(ctx: Context): Promise<false> {
    if (ctx.req.method !== 'GET' && ctx.req.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD');
      return refuse(ctx, 'method_not_allowed');
    }
    const failing = ctx.state.path === '/readyz' ? await readiness() : [];
    ctx.status = failing.length === 0 ? 200 : 503;
    ctx.body = failing.length === 0 ? { status: 'ok' } : { status: 'unavailable', failing };
    return false;
  }
}
