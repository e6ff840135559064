// a request that two parsers could read differently is refused, because a proxy in front may have checked
// another request than the one we would serve.
import { refuse } from '../refuse.ts';
import type { Check } from '../state.ts';

/** Headers that may appear only once: with those of `alsoOnce` at most 32, one bit for each. */
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
  'transfer-encoding',
  'expect',
  'user-agent',
]);

/**
 * Answers 400 for a repeated header or an odd request target. `alsoOnce` adds header names, in lower case, such
 * as the header with the client certificate.
 */
export function strictHeaders(alsoOnce: readonly string[] = []): Check {
  const once = new Map([...ONCE, ...alsoOnce].map((name, i) => [name, 1 << i]));
  return (ctx) => {
    // Absolute and other unusual request targets are for proxies, and the connector is not one.
    if (!ctx.req.url?.startsWith('/')) return refuse(ctx, 'bad_request', 'the request target is not a path');
    ctx.state.path = ctx.path;
    const { rawHeaders } = ctx.req;
    let seen = 0;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = (rawHeaders[i] as string).toLowerCase();
      const bit = once.get(name) ?? 0;
      if ((seen & bit) !== 0) return refuse(ctx, 'bad_request', `the header ${name} appears twice`);
      seen |= bit;
    }
    return true;
  };
}
