// what two parsers could read as two different requests is refused, not guessed at.
import { refuse } from '../refuse.ts';
import type { Middleware } from '../state.ts';

const ONCE = new Set([
  'authorization',
  'host',
  'origin',
  'content-type',
  'content-length',
  'content-encoding',
  'accept-encoding',
  'mcp-session-id',
  'mcp-protocol-version',
]);

/** `alsoOnce`: other headers that something rests on, in lower case. */
export function strictHeaders(alsoOnce: readonly string[] = []): Middleware {
  const once = new Set([...ONCE, ...alsoOnce]);
  return (ctx, next) => {
    // Absolute and other odd request targets: nobody here is a proxy.
    if (!ctx.req.url?.startsWith('/')) return refuse(ctx, 'bad_request', 'the request target is not a path');
    const { rawHeaders } = ctx.req;
    const seen = new Set<string>();
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = (rawHeaders[i] as string).toLowerCase();
      if (!once.has(name)) continue;
      if (seen.has(name)) return refuse(ctx, 'bad_request', `the header ${name} appears twice`);
      seen.add(name);
    }
    return next();
  };
}
