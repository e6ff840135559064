// POST /mcp takes one JSON-RPC message. The answer is JSON, or an event stream once there is progress to report.
// GET (server stream) and DELETE (end of session) are optional in MCP and not offered.
import type { McpEndpoint } from '../../mcp/endpoint.ts';
import { refuse } from '../refuse.ts';
import type { Check, Context } from '../state.ts';

/** Path of the MCP endpoint. */
export const MCP_PATH = '/mcp';

/** Answers 404 for any other path and 405 for any method but POST, before a credential is looked at. */
export function onlyMcp(): Check {
  return (ctx) => {
    if (ctx.state.path !== MCP_PATH) return refuse(ctx, 'not_found');
    if (ctx.req.method === 'POST') return true;
    ctx.set('Allow', 'POST');
    return refuse(ctx, 'method_not_allowed');
  };
}

/**
 * Passes the message to the endpoint and writes its answer. `metadataUrl` is named in a 403 for missing scopes.
 */
export function answerMcp(endpoint: McpEndpoint, metadataUrl: string): Check {
  return async (ctx) => {
    const accept = ctx.req.headers.accept;
    // Nearly all MCP clients send exactly this header, so it is compared as text; any other is parsed (RFC 9110).
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
        // A notification after the answer, or after the client has disconnected, would reach nobody.
        if (answered || !ctx.writable) return;
        if (!ctx.headerSent && accepts('text/event-stream')) openStream(ctx);
        if (ctx.headerSent) sendEvent(ctx, JSON.stringify(message));
      },
    });
    answered = true;
    if (ctx.headerSent) {
      if (answer.message) sendEvent(ctx, answer.message);
      ctx.res.end();
      return false;
    }
    if (answer.status === 429) ctx.set('Retry-After', '60');
    if (answer.handle !== undefined) ctx.set('Mcp-Session-Id', answer.handle);
    if (answer.requiredScopes) {
      // RFC 6750 §3.1: names the missing scopes, so that the client can ask its authorization server for them.
      ctx.set(
        'WWW-Authenticate',
        `Bearer error="insufficient_scope", scope="${answer.requiredScopes.join(' ')}", resource_metadata="${metadataUrl}"`,
      );
    }
    send(ctx, answer.status, answer.message);
    return false;
  };
}

/** Writes the answer past Koa, which would look up what is known here: type and length. */
function send(ctx: Context, status: number, message: string | undefined): void {
  const { res } = ctx;
  ctx.respond = false;
  res.statusCode = status;
  if (message !== undefined) res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.setHeader('Content-Length', message === undefined ? 0 : Buffer.byteLength(message));
  res.end(message);
}

function header(ctx: Context, name: string): string | undefined {
  const value = ctx.req.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function openStream(ctx: Context): void {
  ctx.respond = false;
  // A client that disconnects in the middle of the stream is not an error.
  ctx.res.on('error', () => {});
  ctx.res.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-request-id': ctx.state.requestId,
  });
}

function sendEvent(ctx: Context, message: string): void {
  ctx.res.write(`event: message\ndata: ${message}\n\n`);
}
