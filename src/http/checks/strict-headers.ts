// a request that two parsers could read differently is refused, because a proxy in front may have checked
// another request than the one we would serve.
import { refuse } from '../refuse.ts';
import type { Check } from '../state.ts';

/** Headers that may appear only once. */
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
  const once = new Set([...ONCE, ...alsoOnce]);
  return (ctx) => {
    // Absolute and other unusual request targets are for proxies, and the connector is not one.
    if (!ctx.req.url?.startsWith('/')) return refuse(ctx, 'bad_request', 'the request target is not a path');
    const { rawHeaders } = ctx.req;
    const seen = new Set<string>();
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = (rawHeaders[i] as string).toLowerCase();
      if (!once.has(name)) continue;
      if (seen.has(name)) return refuse(ctx, 'bad_request', `the header ${name} appears twice`);
      seen.add(name);
    }
    return true;
  };
}
