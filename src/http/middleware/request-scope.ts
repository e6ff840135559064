// A request id for every request, minted here: one from outside could be made to collide in a log.
import { randomUUID } from 'node:crypto';
import type { Middleware } from '../state.ts';

export function requestScope(): Middleware {
  return (ctx, next) => {
    ctx.state.requestId = randomUUID();
    ctx.set('X-Request-Id', ctx.state.requestId);
    ctx.set('Cache-Control', 'no-store');
    ctx.set('X-Content-Type-Options', 'nosniff');
    return next();
  };
}
