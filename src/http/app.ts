// The Koa application: the list of all middleware in the order in which they run. The earlier a middleware
// stands, the less is known about who sent the request.
import Koa from 'koa';
import type { OpsLog } from '../audit/ops.ts';
import { createThrottle } from '../audit/throttle.ts';
import type { Forwarding, Prefixes } from '../identity/address.ts';
import type { McpEndpoint } from '../mcp/endpoint.ts';
import { type AuthenticateOptions, authenticate } from './middleware/authenticate.ts';
import { type BodyLimits, readBody } from './middleware/body.ts';
import { clientAddress } from './middleware/client-address.ts';
import { faults } from './middleware/faults.ts';
import { health, type Readiness } from './middleware/health.ts';
import { type HostOriginOptions, hostAndOrigin } from './middleware/host-origin.ts';
import { mcpRoute, onlyMcp } from './middleware/mcp-route.ts';
import { type MetadataOptions, metadata } from './middleware/metadata.ts';
import { requestScope } from './middleware/request-scope.ts';
import { strictHeaders } from './middleware/strict-headers.ts';
import type { Middleware, State } from './state.ts';

/** What each middleware needs, and the MCP endpoint that finally gets the message. */
export interface AppOptions {
  ops: OpsLog;
  readiness: Readiness;
  hosts: HostOriginOptions;
  metadata: MetadataOptions;
  forwarding: Forwarding;
  prefixes: Prefixes;
  authenticate: AuthenticateOptions;
  body: BodyLimits;
  endpoint: McpEndpoint;
}

/** Creates the application. No middleware may be moved without a reason: each relies on the checks before it. */
export function createApp(options: AppOptions): Koa<State> {
  const { header } = options.authenticate.certificates;
  const order: Middleware[] = [
    requestScope(),
    faults(options.ops),
    strictHeaders(header ? [header.header] : []),
    health(options.readiness),
    hostAndOrigin(options.hosts),
    metadata(options.metadata),
    onlyMcp(),
    clientAddress(options.forwarding, options.prefixes),
    authenticate(options.authenticate),
    readBody(options.body),
    mcpRoute(options.endpoint, options.authenticate.metadataUrl),
  ];
  const app = new Koa<State>();
  for (const middleware of order) app.use(middleware as Koa.Middleware<State>);
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
