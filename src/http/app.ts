// The Koa application: one middleware, and the list of all checks in the order in which they run. The earlier a check
// stands, the less is known about who sent the request.
import { randomUUID } from 'node:crypto';
import Koa from 'koa';
import { createThrottle } from '../audit/events/throttle.ts';
import type { OpsLog } from '../audit/ops.ts';
import type { Forwarding, Prefixes } from '../identity/address.ts';
import type { McpEndpoint } from '../mcp/endpoint.ts';
import { type AccessFields, logAccess, PROBES } from './access-log.ts';
import { type AuthenticateOptions, authenticate } from './checks/authenticate.ts';
import { type BodyLimits, readBody } from './checks/body.ts';
import { clientAddress } from './checks/client-address.ts';
import { health, type Readiness } from './checks/health.ts';
import { type HostOriginOptions, hostAndOrigin } from './checks/host-origin.ts';
import { answerMcp, MCP_PATH, onlyMcp } from './checks/mcp.ts';
import { METADATA_PATH, type MetadataOptions, metadata } from './checks/metadata.ts';
import { strictHeaders } from './checks/strict-headers.ts';
import { refuse } from './refuse.ts';
import type { Check, Context, State } from './state.ts';

/** What each check needs, and the MCP endpoint that finally gets the message. */
export interface AppOptions {
  ops: OpsLog;
  /** Whether each request gets a line in the operational log. */
  accessLog: boolean;
  readiness: Readiness;
  hosts: HostOriginOptions;
  metadata: MetadataOptions;
  forwarding: Forwarding;
  prefixes: Prefixes;
  authenticate: AuthenticateOptions;
  body: BodyLimits;
  endpoint: McpEndpoint;
}

/** Creates the application. No check may be moved without a reason: each relies on those before it. */
export function createApp(options: AppOptions): Koa<State> {
  const { header } = options.authenticate.certificates;
  const order: readonly Check[] = [
    strictHeaders(header ? [header.header] : []),
    health(options.readiness),
    hostAndOrigin(options.hosts),
    metadata(options.metadata),
    onlyMcp(),
    clientAddress(options.forwarding, options.prefixes),
    authenticate(options.authenticate),
    readBody(options.body),
    answerMcp(options.endpoint, options.authenticate.metadataUrl),
  ];
  const app = new Koa<State>();
  const { ops, accessLog } = options;
  app.use(((ctx: Context) => {
    if (accessLog) {
      // A socket that is closed has no address any more.
      const ip = ctx.req.socket.remoteAddress;
      logAccess(ops, ctx.res, () => describeAccess(ctx, ip));
    }
    return oneByOne(ctx, order, ops);
  }) as Koa.Middleware<State>);
  // By default Koa prints whole errors, which may quote parts of a request.
  app.silent = true;
  // Anybody can break connections, as many as he likes: they get a line a second, and a count.
  const throttle = createThrottle(1);
  app.on('error', (error: unknown) => {
    const suppressed = throttle.admit(performance.now());
    if (suppressed === undefined) return;
    const name = error instanceof Error ? error.name : typeof error;
    options.ops.warn('connection failed', { error: name, ...(suppressed > 0 && { suppressed }) });
  });
  return app;
}

/** What the access log says of a request. Nothing is known of whoever was refused before his address or credential was. */
function describeAccess({ req, state }: Context, peer: string | undefined): AccessFields {
  const { path, requestId, address, client } = state;
  return {
    listener: 'clients',
    request_id: requestId,
    method: (req.method ?? '').slice(0, 20),
    // What stands in any other path may be a secret that somebody has pasted there.
    path: path.startsWith(METADATA_PATH) ? METADATA_PATH : PROBES.has(path) || path === MCP_PATH ? path : 'other',
    ip: address?.ip ?? peer,
    client: client?.id,
  };
}

/**
 * Gives the request an id, which is always made here: an id from outside could be chosen to equal that of another request
 * in a log. Then one check after the other, in one function: a middleware for each would cost more than most of them do.
 */
async function oneByOne(ctx: Context, order: readonly Check[], ops: OpsLog): Promise<void> {
  const { state, res } = ctx;
  state.requestId = randomUUID();
  res.setHeader('X-Request-Id', state.requestId);
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('X-Content-Type-Options', 'nosniff');
  try {
    for (const check of order) {
      const goesOn = check(ctx);
      if (goesOn !== true && !(await goesOn)) return;
    }
  } catch (thrown) {
    fault(ctx, thrown, ops);
  }
}

/**
 * Answers 500 for an error that nobody has caught; cuts the connection when an answer has already begun. The operational
 * log gets only the name of the error, because its message may quote parts of the request.
 */
function fault(ctx: Context, thrown: unknown, ops: OpsLog): void {
  ops.error('request failed', {
    request_id: ctx.state.requestId,
    error: thrown instanceof Error ? thrown.name : typeof thrown,
  });
  if (ctx.headerSent) ctx.res.destroy();
  else refuse(ctx, 'internal_error');
}
