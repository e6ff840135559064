// Gives every request an id. It is always made here: an id from outside could be chosen to equal that of another
// request in a log.
import { randomUUID } from 'node:crypto';
import type { Middleware } from '../state.ts';

/** Sets `state.requestId` and the headers that every answer has. */
export function requestScope(): Middleware {
  return (ctx, next) => {
    ctx.state.requestId = randomUUID();
    ctx.set('X-Request-Id', ctx.state.requestId);
    ctx.set('Cache-Control', 'no-store');
    ctx.set('X-Content-Type-Options', 'nosniff');
    return next();
  };
}
