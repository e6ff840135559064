// The admin listener. It has a port of its own, on loopback unless configured otherwise, and credentials of its own. Who
// did what and why is recorded in the audit log, and so are rejected credentials.
import Koa from 'koa';
import { TooManyFreezes } from '../freeze/freeze.ts';
import { logAccess } from '../http/access-log.ts';
import type { AdminOptions } from './contract.ts';
import { answer, type Routes, ready } from './respond.ts';
import { createRoutes } from './routes.ts';
import type { Operator } from './tokens.ts';

/** Creates the application. */
export function createAdminApp(options: AdminOptions): Koa {
  const { operators, readiness, onRefused, allowedHosts, accessLog } = options;
  const routes = createRoutes(options);
  const app = new Koa();
  app.silent = true;
  const known = new Set([...Object.keys(routes).map((key) => key.split(' ')[1]), '/livez']);
  app.use(async (ctx) => {
    let operator: Operator | undefined;
    // A socket that is closed has no address any more.
    const ip = ctx.req.socket.remoteAddress ?? '';
    if (accessLog)
      logAccess(accessLog, ctx.res, () => ({
        listener: 'admin',
        method: (ctx.req.method ?? '').slice(0, 20),
        path: known.has(ctx.path) ? ctx.path : 'other',
        ip,
        operator: operator?.name,
      }));
    ctx.set('Cache-Control', 'no-store');
    ctx.set('X-Content-Type-Options', 'nosniff');
    // A web page in the browser of the operator must not reach this port by DNS rebinding. Browsers send
    // Origin; the tools that use this port do not.
    if (ctx.req.headers.origin !== undefined) return answer(ctx, 403, { error: 'forbidden_origin' });
    if (!isOwnHost(ctx, allowedHosts()))
      return answer(ctx, 403, { error: 'forbidden_host', hint: 'add the name to admin.allowed_hosts' });
    // Who asks without details needs no credential, as at the listener of the clients.
    const asks = ctx.method === 'GET' || ctx.method === 'HEAD';
    if (ctx.path === '/livez' && asks) return answer(ctx, 200, { status: 'ok' });
    if (ctx.path === '/readyz' && asks && ctx.query.verbose === undefined) return ready(ctx, await readiness());

    const given = /^Bearer +(\S+)$/i.exec(ctx.req.headers.authorization ?? '')?.[1];
    operator = given === undefined ? undefined : operators().find(given);
    if (!operator) {
      const limited = onRefused(ip);
      if (limited) ctx.set('Retry-After', '60');
      else ctx.set('WWW-Authenticate', 'Bearer');
      return answer(ctx, limited ? 429 : 401, { error: limited ? 'too_many_failures' : 'unauthorized' });
    }
    const asked = `${ctx.method} ${ctx.path}`;
    const route = Object.hasOwn(routes, asked) ? routes[asked] : undefined;
    if (!route) {
      const others = methodsOf(routes, ctx.path);
      if (others.length === 0) return answer(ctx, 404, { error: 'not_found' });
      ctx.set('Allow', others.join(', '));
      return answer(ctx, 405, { error: 'method_not_allowed' });
    }
    if (!operator.rights.has(route.right))
      return answer(ctx, 403, { error: 'forbidden', hint: `this token has not the right "${route.right}"` });
    try {
      await route.handle(ctx, operator, ip);
    } catch (thrown) {
      if (thrown instanceof TooManyFreezes)
        return answer(ctx, 409, { error: 'too_many_freezes', hint: thrown.message });
      answer(ctx, 503, { error: 'unavailable', hint: 'the store does not answer; nothing can be promised' });
    }
  });
  return app;
}

const methodsOf = (routes: Routes, path: string): string[] =>
  ['GET', 'POST'].filter((method) => Object.hasOwn(routes, `${method} ${path}`));

/** Loopback names, names that are configured, and the address that was connected to: a name that was rebound is none. */
function isOwnHost(ctx: Koa.Context, allowed: readonly string[]): boolean {
  const hosts = new Set([...allowed, 'localhost', '127.0.0.1', '[::1]'].map((name) => name.toLowerCase()));
  const host = ctx.req.headers.host?.toLowerCase() ?? '';
  const bare = host.replace(/:\d+$/, '');
  const local = ctx.req.socket.localAddress?.replace(/^::ffff:/, '') ?? '';
  return hosts.has(host) || hosts.has(bare) || bare === (local.includes(':') ? `[${local}]` : local);
}
