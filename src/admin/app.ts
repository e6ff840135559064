// The admin listener. It has a port of its own, on loopback unless configured otherwise, and credentials of its own. Who
// did what and why is recorded in the audit log, and so are rejected credentials.
import type { IncomingMessage, ServerResponse } from 'node:http';
import Koa from 'koa';
import { z } from 'zod';
import type { Act } from '../audit/events.ts';
import { askForBody } from '../http/listener/front.ts';
import type { Reloaded } from '../life/reload.ts';
import type { Selector } from '../session/control.ts';
import type { SessionPage, Status } from './api-schema.ts';
import type { Metrics } from './metrics.ts';
import type { Operator, Operators, Right } from './tokens.ts';

/** Which sessions are asked for. `after`: the fingerprint at which the page before ended. */
export interface SessionQuery {
  limit: number;
  after?: string | undefined;
  backend?: string | undefined;
  client?: string | undefined;
  subject?: string | undefined;
}

/** What the admin listener needs. */
export interface AdminOptions {
  operators: () => Operators;
  metrics: Pick<Metrics, 'text' | 'contentType'>;
  /**
   * Ends every session that the selector names, on all replicas, and answers how many there were. Rejects when
   * the store does not answer.
   */
  revoke: (selector: Selector, act: Act) => Promise<number>;
  reload: (act: Act) => Promise<Reloaded>;
  status: () => Promise<Status>;
  sessions: (query: SessionQuery) => Promise<SessionPage>;
  /** The parts that are not ready. */
  readiness: () => Promise<readonly string[]>;
  /** Called when a request has no valid admin token. Answers true when there were too many from there. */
  onRefused: (ip: string) => boolean;
  /** Host header values that are accepted besides loopback names and the address that was connected to. */
  allowedHosts: () => readonly string[];
}

const name = z.string().min(1).max(200);
const why = { reason: z.string().trim().min(1).max(500) };

/** A revocation names exactly one selector, and why. */
const revocationSchema = z.union([
  z.strictObject({ all: z.literal(true), ...why }),
  z.strictObject({ session: name, ...why }),
  z.strictObject({ client: name, issuer: name.optional(), ...why }),
  z.strictObject({ subject: name, issuer: name.optional(), ...why }),
  z.strictObject({ backend: name, ...why }),
]);
const reloadSchema = z.strictObject(why);

const querySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  after: name.optional(),
  backend: name.optional(),
  client: name.optional(),
  subject: name.optional(),
});

/** Most bytes of a request body. */
const BODY_BYTES = 4096;

interface Route {
  method: 'GET' | 'POST';
  right: Right;
  handle(ctx: Koa.Context, operator: Operator): Promise<void>;
}

/** Creates the application. */
export function createAdminApp(options: AdminOptions): Koa {
  const { operators, metrics, revoke, reload, status, sessions, readiness, onRefused, allowedHosts } = options;
  const routes: Record<string, Route> = {
    '/metrics': {
      method: 'GET',
      right: 'metrics',
      async handle(ctx) {
        ctx.body = await metrics.text();
        ctx.type = metrics.contentType;
      },
    },
    '/readyz': {
      method: 'GET',
      right: 'read',
      async handle(ctx) {
        const { failing, warnings, differences } = await status();
        ready(ctx, failing, { warnings, differences });
      },
    },
    '/api/v1/status': { method: 'GET', right: 'read', handle: async (ctx) => answer(ctx, 200, await status()) },
    '/api/v1/sessions': {
      method: 'GET',
      right: 'read',
      async handle(ctx) {
        const query = querySchema.safeParse(Object.fromEntries(new URLSearchParams(ctx.querystring)));
        if (!query.success)
          return badRequest(ctx, 'limit (1 to 1000), after, backend, client and subject may be asked for');
        answer(ctx, 200, await sessions(query.data));
      },
    },
    '/revocations': {
      method: 'POST',
      right: 'act',
      async handle(ctx, operator) {
        const body = revocationSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success)
          return badRequest(
            ctx,
            'send exactly one of {"session"}, {"client"}, {"subject"}, {"backend"} and {"all": true}, and a "reason"; "issuer" only with "client" or "subject"',
          );
        const { reason, ...selector } = body.data;
        answer(ctx, 200, { revoked: await revoke(selector as Selector, actOf(ctx, operator, reason)) });
      },
    },
    '/api/v1/reload': {
      method: 'POST',
      right: 'act',
      async handle(ctx, operator) {
        const body = reloadSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success) return badRequest(ctx, 'send a "reason"');
        const result = await reload(actOf(ctx, operator, body.data.reason));
        answer(ctx, result.ok ? 200 : 409, result);
      },
    },
  };

  const app = new Koa();
  app.silent = true;
  app.use(async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    ctx.set('X-Content-Type-Options', 'nosniff');
    // A web page in the browser of the operator must not reach this port by DNS rebinding. Browsers send
    // Origin; the tools that use this port do not.
    if (ctx.req.headers.origin !== undefined) return answer(ctx, 403, { error: 'forbidden_origin' });
    if (!isOwnHost(ctx, allowedHosts()))
      return answer(ctx, 403, { error: 'forbidden_host', hint: 'add the name to admin.allowed_hosts' });
    // Who asks without details needs no credential, as at the listener of the clients.
    if (ctx.path === '/livez' && ctx.method === 'GET') return answer(ctx, 200, { status: 'ok' });
    if (ctx.path === '/readyz' && ctx.method === 'GET' && ctx.query.verbose === undefined)
      return ready(ctx, await readiness());

    const ip = ctx.req.socket.remoteAddress ?? '';
    const given = /^Bearer +(\S+)$/i.exec(ctx.req.headers.authorization ?? '')?.[1];
    const operator = given === undefined ? undefined : operators().find(given);
    if (!operator) {
      const limited = onRefused(ip);
      if (limited) ctx.set('Retry-After', '60');
      else ctx.set('WWW-Authenticate', 'Bearer');
      return answer(ctx, limited ? 429 : 401, { error: limited ? 'too_many_failures' : 'unauthorized' });
    }
    const route = Object.hasOwn(routes, ctx.path) ? routes[ctx.path] : undefined;
    if (!route) return answer(ctx, 404, { error: 'not_found' });
    if (ctx.method !== route.method) {
      ctx.set('Allow', route.method);
      return answer(ctx, 405, { error: 'method_not_allowed' });
    }
    if (!operator.rights.has(route.right))
      return answer(ctx, 403, { error: 'forbidden', hint: `this token has not the right "${route.right}"` });
    try {
      await route.handle(ctx, operator);
    } catch {
      answer(ctx, 503, { error: 'unavailable', hint: 'the store does not answer; nothing can be promised' });
    }
  });
  return app;
}

function ready(ctx: Koa.Context, failing: readonly string[], details: object = {}): void {
  const ok = failing.length === 0;
  answer(ctx, ok ? 200 : 503, ok ? { status: 'ok', ...details } : { status: 'unavailable', failing, ...details });
}

/** Loopback names, names that are configured, and the address that was connected to: a name that was rebound is none. */
function isOwnHost(ctx: Koa.Context, allowed: readonly string[]): boolean {
  const hosts = new Set([...allowed, 'localhost', '127.0.0.1', '[::1]'].map((name) => name.toLowerCase()));
  const host = ctx.req.headers.host?.toLowerCase() ?? '';
  const bare = host.replace(/:\d+$/, '');
  const local = ctx.req.socket.localAddress?.replace(/^::ffff:/, '') ?? '';
  return hosts.has(host) || hosts.has(bare) || bare === (local.includes(':') ? `[${local}]` : local);
}

const actOf = (ctx: Koa.Context, { name: operator }: Operator, reason: string): Act => ({
  operator,
  reason,
  ip: ctx.req.socket.remoteAddress ?? '',
});

const badRequest = (ctx: Koa.Context, hint: string): void => answer(ctx, 400, { error: 'bad_request', hint });

function answer(ctx: Koa.Context, status: number, body: object): void {
  ctx.status = status;
  ctx.body = body;
}

async function readJson(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  askForBody(request, response);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request) {
      size += chunk.length;
      if (size > BODY_BYTES) return undefined;
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}
