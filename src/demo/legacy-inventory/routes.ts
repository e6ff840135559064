// What the legacy inventory system answers, path by path.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { loginPage, menuPage, ordersPage } from './pages.ts';
import type { createLegacySessions, LegacySession } from './sessions.ts';
import { createStock, type Item, ORDERS } from './stock.ts';

/** A user of the legacy application. Only a manager may delete items. */
export interface LegacyUser {
  password: string;
  role: 'clerk' | 'manager';
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
  /** With `renewIds`, the older ids stay valid, as those of signed cookies do. */
  keepOldIds: boolean;
  /** A refused change is answered with a redirect and a logged-in copy of the session under another id. */
  copyOnRefusal: boolean;
}

/** One request, read in full. */
export interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  path: string;
  query: URLSearchParams;
  body: string;
  session: LegacySession | undefined;
}

export const html = (response: ServerResponse, body: string, status = 200): void =>
  void response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(body);
const json = (response: ServerResponse, body: unknown, status = 200): void =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const redirect = (response: ServerResponse, location: string): void => void response.writeHead(302, { location }).end();

const setCookie = (response: ServerResponse, id: string) =>
  response.setHeader('set-cookie', `JSESSIONID=${id}; Path=/; HttpOnly`);

export function cookie(request: IncomingMessage): string | undefined {
  return /(?:^|;\s*)JSESSIONID=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
}

/** What the routes share with the application that counts and injects faults. */
export interface Shared {
  users: Record<string, LegacyUser>;
  sessions: ReturnType<typeof createLegacySessions>;
  calls: Map<string, number>;
  counted: { logins: number; failedLogins: number; logouts: number; writes: number };
  switches: Switches;
}

export function createRoutes(shared: Shared): (call: Call) => void {
  const { sessions, calls, counted, switches } = shared;
  const login = createLogin(shared);
  const api = createApi(shared);

  return (call) => {
    const { request, response, path, session } = call;
    if (path === '/login') return request.method === 'POST' ? login.logIn(call) : login.show(call);
    if (!session)
      return path === '/orders' ? login.show(call, 'Your session has ended.') : redirect(response, '/login');
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
    if (fail(switches, response)) return;
    if (switches.copyOnRefusal && request.method === 'POST') {
      const copy = sessions.open(session.user, session.login);
      copy.csrf = session.csrf;
      setCookie(response, copy.id);
      return redirect(response, '/menu');
    }
    if (switches.renewIds) {
      const next = sessions.open(session.user, session.login);
      next.csrf = session.csrf;
      if (!switches.keepOldIds) sessions.end(session.id);
      setCookie(response, next.id);
    }
    api(call, session);
  };
}

function createLogin({ users, sessions, counted, switches }: Shared) {
  /** The login page opens an anonymous session, as servlet containers do. */
  function show({ response }: Call, message?: string): void {
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
      return show(call, 'User or password is wrong.');
    }
    // The session gets a new id at login: an id that an attacker planted before must not become a logged-in session.
    sessions.end(anonymous.id);
    const session = sessions.open(user);
    counted.logins += 1;
    setCookie(call.response, session.id);
    redirect(call.response, '/menu');
  }

  return { show, logIn };
}

function createApi({ users, counted }: Shared): (call: Call, session: LegacySession) => void {
  const stock = createStock();
  const roleOf = (session: LegacySession) => users[session.user ?? '']?.role;

  function adjust({ response, body }: Call, item: Item): void {
    const { delta } = JSON.parse(body || '{}') as { delta?: unknown };
    if (!Number.isInteger(delta)) return json(response, { error: 'delta' }, 400);
    item.quantity += delta as number;
    counted.writes += 1;
    json(response, item);
  }

  return (call, session) => {
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
  };
}

/** A fault that a test has turned on. */
function fail({ failure }: Switches, response: ServerResponse): boolean {
  if (failure === null) return false;
  if (failure === 'drop') response.socket?.destroy();
  else if (failure === 'huge') json(response, { filler: 'x'.repeat(8 * 1024 * 1024) });
  else if (failure === 'redirect') redirect(response, 'http://127.0.0.2:9/elsewhere');
  else json(response, { error: 'injected' }, failure);
  return true;
}
