// An inventory system with the habits of real ones: a form login with a hidden token, a JSESSIONID cookie, rights by
// user and a CSRF header on writes. An ended session is answered with a redirect to the login page on some paths and
// with the login page and status 200 on others. It knows nothing of Sallyport and listens on loopback only.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loginPage, menuPage, ordersPage } from './pages.ts';
import { createLegacySessions, type LegacySession, type Timeouts } from './sessions.ts';
import { createStock, type Item, ORDERS } from './stock.ts';

/** A user of the legacy application. Only a manager may delete items. */
export interface LegacyUser {
  password: string;
  role: 'clerk' | 'manager';
}

/** `users`: by name. `port`: 0 (the default) for any free one. `now`: milliseconds since 1970. */
export interface LegacyOptions extends Partial<Timeouts> {
  users: Record<string, LegacyUser>;
  port?: number;
  now?: () => number;
}

/** What the legacy application has counted, so that tests can compare it with what the connector says. */
export interface LegacyStats {
  logins: number;
  failedLogins: number;
  logouts: number;
  liveSessions: number;
  /** Calls that changed the stock. */
  writes: number;
  /** Number of requests by session id, including sessions that have ended. */
  callsBySession: ReadonlyMap<string, number>;
}

/** Faults that tests can turn on while the application runs. */
export interface Switches {
  /** Every answer is delayed by so many milliseconds. */
  latencyMs: number;
  /** How requests below /api fail: a status, a dropped connection, a body of 8 MB, a redirect elsewhere. */
  failure: number | 'drop' | 'huge' | 'redirect' | null;
  /** Every login is refused. */
  refuseLogins: boolean;
  /** Each answer below /api gives the session a new id, as some systems do. */
  renewIds: boolean;
}

/** The running application. `url` has no slash at its end. */
export interface LegacyInventory {
  readonly url: string;
  stats(): LegacyStats;
  /** Turns faults on or off; those not named stay as they are. */
  inject(switches: Partial<Switches>): void;
  /** Ends every session at once, as a restart would. */
  endAllSessions(): void;
  close(): Promise<void>;
}

interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  path: string;
  query: URLSearchParams;
  body: string;
  session: LegacySession | undefined;
}

/** Starts the application on 127.0.0.1. Sessions end after half an hour without use, and after ten hours at most. */
export async function startLegacyInventory({
  users,
  port = 0,
  now = Date.now,
  idleSeconds = 1800,
  absoluteSeconds = 36_000,
}: LegacyOptions): Promise<LegacyInventory> {
  const sessions = createLegacySessions(now, { idleSeconds, absoluteSeconds });
  const stock = createStock();
  const calls = new Map<string, number>();
  const counted = { logins: 0, failedLogins: 0, logouts: 0, writes: 0 };
  const switches: Switches = { latencyMs: 0, failure: null, refuseLogins: false, renewIds: false };

  const html = (response: ServerResponse, body: string, status = 200): void =>
    void response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(body);
  const json = (response: ServerResponse, body: unknown, status = 200): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const redirect = (response: ServerResponse, location: string): void =>
    void response.writeHead(302, { location }).end();
  const setCookie = (response: ServerResponse, id: string) =>
    response.setHeader('set-cookie', `JSESSIONID=${id}; Path=/; HttpOnly`);
  const roleOf = (session: LegacySession) => users[session.user ?? '']?.role;

  /** The login page opens an anonymous session, as servlet containers do. */
  function showLogin({ response }: Call, message?: string): void {
    const session = sessions.open(null);
    const formToken = session.csrf;
    session.formTokens.add(formToken);
    setCookie(response, session.id);
    html(response, loginPage(formToken, message));
  }

  function logIn(call: Call): void {
    const form = new URLSearchParams(call.body);
    const anonymous = sessions.use(cookie(call.request));
    const user = form.get('username') ?? '';
    const known = anonymous?.formTokens.delete(form.get('form_token') ?? '') === true;
    if (
      !known ||
      switches.refuseLogins ||
      !Object.hasOwn(users, user) ||
      users[user]?.password !== form.get('password')
    ) {
      counted.failedLogins += 1;
      return showLogin(call, 'User or password is wrong.');
    }
    // The session gets a new id at login: an id that an attacker planted before must not become a logged-in session.
    sessions.end(anonymous.id);
    const session = sessions.open(user);
    counted.logins += 1;
    setCookie(call.response, session.id);
    redirect(call.response, '/menu');
  }

  function api(call: Call, session: LegacySession): void {
    const { request, response, path, query } = call;
    const [, , resource, sku, action] = path.split('/').map((part) => decodeURIComponent(part));
    if (resource === 'me') return json(response, { user: session.user, role: roleOf(session) });
    if (resource !== 'stock') return json(response, { error: 'not found' }, 404);
    if (sku === undefined) {
      const text = query.get('q')?.toLowerCase() ?? '';
      return json(response, { items: [...stock.values()].filter((item) => item.name.toLowerCase().includes(text)) });
    }
    const item = stock.get(sku);
    if (!item) return json(response, { error: 'no such item' }, 404);
    if (request.method === 'GET') return json(response, item);
    if (request.headers['x-csrf-token'] !== session.csrf) return json(response, { error: 'csrf' }, 403);
    if (request.method === 'POST' && action === 'adjust') return adjust(call, item);
    if (request.method !== 'DELETE') return json(response, { error: 'method' }, 405);
    if (roleOf(session) !== 'manager') return json(response, { error: 'forbidden' }, 403);
    stock.delete(item.sku);
    counted.writes += 1;
    json(response, { written_off: item.sku });
  }

  function adjust({ response, body }: Call, item: Item): void {
    const { delta } = JSON.parse(body || '{}') as { delta?: unknown };
    if (!Number.isInteger(delta)) return json(response, { error: 'delta' }, 400);
    item.quantity += delta as number;
    counted.writes += 1;
    json(response, item);
  }

  function fail(response: ServerResponse): boolean {
    const { failure } = switches;
    if (failure === null) return false;
    if (failure === 'drop') response.socket?.destroy();
    else if (failure === 'huge') json(response, { filler: 'x'.repeat(8 * 1024 * 1024) });
    else if (failure === 'redirect') redirect(response, 'http://127.0.0.2:9/elsewhere');
    else json(response, { error: 'injected' }, failure);
    return true;
  }

  function route(call: Call): void {
    const { request, response, path, session } = call;
    if (path === '/login') return request.method === 'POST' ? logIn(call) : showLogin(call);
    if (!session) return path === '/orders' ? showLogin(call, 'Your session has ended.') : redirect(response, '/login');
    session.calls += 1;
    response.setHeader('x-user', session.user ?? '');
    calls.set(session.id, session.calls);
    if (path === '/menu') return html(response, menuPage(session.user ?? '', session.csrf));
    if (path === '/logout' && request.method === 'POST') {
      if (new URLSearchParams(call.body).get('csrf_token') !== session.csrf)
        return json(response, { error: 'csrf' }, 403);
      sessions.end(session.id);
      counted.logouts += 1;
      response.setHeader('set-cookie', 'JSESSIONID=; Path=/; Max-Age=0');
      return redirect(response, '/login');
    }
    if (path === '/orders') return html(response, ordersPage(ORDERS));
    if (!path.startsWith('/api/')) return html(response, 'not found', 404);
    if (fail(response)) return;
    if (switches.renewIds) {
      const next = sessions.open(session.user);
      next.csrf = session.csrf;
      sessions.end(session.id);
      setCookie(response, next.id);
    }
    api(call, session);
  }

  const server = createServer(async (request, response) => {
    try {
      const url = new URL(request.url ?? '/', 'http://legacy');
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      if (switches.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, switches.latencyMs));
      const used = sessions.use(cookie(request));
      const session = used?.user === null ? undefined : used;
      route({
        request,
        response,
        path: url.pathname,
        query: url.searchParams,
        body: Buffer.concat(chunks).toString('utf8'),
        session,
      });
    } catch {
      if (!response.headersSent) html(response, 'internal error', 500);
    }
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stats: () => ({ ...counted, liveSessions: sessions.live().length, callsBySession: calls }),
    inject(changes) {
      Object.assign(switches, changes);
    },
    endAllSessions: () => sessions.endAll(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function cookie(request: IncomingMessage): string | undefined {
  return /(?:^|;\s*)JSESSIONID=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
}
