// POST /mcp: one JSON-RPC message, answered as JSON, or as an event stream once there is progress to
// tell. GET (server stream) and DELETE (end of session) are optional in MCP and not offered.
import type { JSONRPCMessage, McpEndpoint } from '../../mcp/endpoint.ts';
import { refuse } from '../refuse.ts';
import type { Context, Middleware } from '../state.ts';

export const MCP_PATH = '/mcp';

export function onlyMcp(): Middleware {
  return (ctx, next) => {
    if (ctx.path !== MCP_PATH) return refuse(ctx, 'not_found');
    if (ctx.method === 'POST') return next();
    ctx.set('Allow', 'POST');
    refuse(ctx, 'method_not_allowed');
  };
}

export function mcpRoute(endpoint: McpEndpoint, metadataUrl: string): Middleware {
  return async (ctx) => {
    const accept = ctx.req.headers.accept;
    // The header every MCP client sends; anything else is parsed as RFC 9110 has it.
    const accepts = (type: string) =>
      accept === undefined || accept === 'application/json, text/event-stream' || ctx.accepts(type) !== false;
    if (!accepts('application/json') && !accepts('text/event-stream'))
      return refuse(ctx, 'not_acceptable', 'accept application/json and text/event-stream');
    const { client, address, requestId, body } = ctx.state;
    let answered = false;
    const answer = await endpoint.answer({
      body,
      handle: header(ctx, 'mcp-session-id'),
      protocolVersion: header(ctx, 'mcp-protocol-version'),
      scope: { requestId, client, ...address, userAgent: (header(ctx, 'user-agent') ?? '').slice(0, 200) },
      notify: (message) => {
        // What comes after the answer, or after the client has gone, has nobody to read it.
        if (answered || !ctx.writable) return;
        if (!ctx.headerSent && accepts('text/event-stream')) openStream(ctx);
        if (ctx.headerSent) sendEvent(ctx, message);
      },
    });
    answered = true;
    if (ctx.headerSent) {
      if (answer.message) sendEvent(ctx, answer.message);
      ctx.res.end();
      return;
    }
    if (answer.status === 429) ctx.set('Retry-After', '60');
    if (answer.handle !== undefined) ctx.set('Mcp-Session-Id', answer.handle);
    if (answer.requiredScopes) {
      // RFC 6750 §3.1: what was missing, so that the client can ask its authorization server for it.
      ctx.set(
        'WWW-Authenticate',
        `Bearer error="insufficient_scope", scope="${answer.requiredScopes.join(' ')}", resource_metadata="${metadataUrl}"`,
      );
    }
    if (answer.message) {
      ctx.body = JSON.stringify(answer.message);
      ctx.type = 'application/json';
    } else {
      ctx.body = '';
      ctx.remove('Content-Type');
    }
    ctx.status = answer.status;
  };
}

function header(ctx: Context, name: string): string | undefined {
  const value = ctx.req.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function openStream(ctx: Context): void {
  ctx.respond = false;
  // A client that hangs up in the middle of the stream is no fault of anybody.
  ctx.res.on('error', () => {});
  ctx.res.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-request-id': ctx.state.requestId,
  });
}

function sendEvent(ctx: Context, message: JSONRPCMessage): void {
  ctx.res.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
}
