// What an answer changes in a session: cookies by name, path and domain, later ends, smaller sets, values in headers and
// documents; and what a logout and its probe prove. The adapter against small real servers.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createBackendAdapter } from '../../src/backend/adapter.ts';
import type { BackendPort, BackendTokenSecret } from '../../src/backend/port.ts';
import { backendSchema } from '../../src/config/schema/backend.ts';
import { toolSchema } from '../../src/config/schema/tool.ts';
import { createTestClock } from '../support/clock.ts';

type Handle = (path: string, response: ServerResponse, request: IncomingMessage) => unknown;
let server: Server;
let backend: BackendPort;
let seen: string[];
afterEach(async () => {
  await backend.close();
  server.close();
  server.closeAllConnections();
});

const ACCOUNT = { key: '', credentials: {} };
const cookies = (...all: string[]) => ({ 'set-cookie': all });

async function start(login: string[], handle: Handle, changes: object = {}): Promise<BackendTokenSecret> {
  seen = [];
  server = createServer((request, response) => {
    const path = request.url ?? '';
    seen.push(`${path} ${request.headers.cookie ?? ''}`.trim());
    if (path === '/login') return void response.writeHead(200, cookies(...login)).end('{"ticket":"ticket-0"}');
    handle(path, response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const tool = (path: string, effect = 'read') =>
    toolSchema.parse({ backend: 'b', description: 'd', effect, request: { path }, result: { as: 'text' } });
  backend = createBackendAdapter({
    name: 'b',
    config: backendSchema.parse({
      url: `http://127.0.0.1:${port}`,
      timeout_ms: 500,
      login: [{ request: { path: '/login' } }],
      session: { cookies: login.some((text) => text.startsWith('C')) ? ['S', { matching: '^C\\d$' }] : ['S'] },
      expired: [{ status: 401 }],
      ...changes,
    }),
    tools: { page: tool('/page'), deep: tool('/app/deep') },
    accounts: () => ACCOUNT,
    clock: createTestClock(),
  });
  const result = await backend.login(ACCOUNT, async () => {});
  if (!result.ok) throw new Error(result.detail);
  return result.backendToken;
}
const call = (backendToken: BackendTokenSecret, tool = 'page') =>
  backend.call({ tool, arguments: {}, backendToken, account: ACCOUNT, signal: new AbortController().signal });
const valuesOf = (token: BackendTokenSecret | undefined) =>
  (token?.reveal().cookies as { key: string; value: string }[] | undefined)
    ?.map(({ key, value }) => `${key}=${value}`)
    .sort();

describe('R-54, R-81: a renewal', () => {
  it('is a later end of the same value, but not one that moves by a moment', async () => {
    let age = 100;
    const token = await start(['S=a; Max-Age=100'], (_path, response) =>
      response.writeHead(200, cookies(`S=a; Max-Age=${age}`)).end('x'),
    );
    expect((await call(token)).renewed).toBeUndefined();
    age = 3600;
    expect(valuesOf((await call(token)).renewed)).toEqual(['S=a']);
  });

  it('may be a set of cookies that gets smaller, or one that is deleted and set', async () => {
    const gone = 'Max-Age=0';
    const token = await start(['S=s', 'C1=one', 'C2=two'], (_path, response) =>
      response.writeHead(200, cookies(`C2=; ${gone}`, `C1=; ${gone}`, 'C1=all')).end('x'),
    );
    expect(valuesOf((await call(token)).renewed)).toEqual(['C1=all', 'S=s']);
  });

  it('is not a logout: a session cookie that is taken away. What is set beside it is not dropped', async () => {
    const token = await start(['S=s', 'C1=one'], (_path, response) =>
      response.writeHead(200, cookies('S=; Max-Age=0', 'C1=other')).end('x'),
    );
    const { renewed, strays } = await call(token);
    expect(renewed).toBeUndefined();
    expect(strays?.map(valuesOf)).toEqual([['C1=other']]);
  });

  it('tells cookies of one name apart by path, and sends the longest path first', async () => {
    const token = await start(['S=root; Path=/', 'S=deep; Path=/app'], (path, response) =>
      path === '/app/deep' ? response.writeHead(200, cookies('S=deeper; Path=/app')).end('x') : response.end('x'),
    );
    const { renewed } = await call(token, 'deep');
    expect(seen.at(-1)).toBe('/app/deep S=deep; S=root');
    expect(valuesOf(renewed)).toEqual(['S=deeper', 'S=root']);
  });

  it('takes the newest value of each cookie and value when another answer was stored meanwhile', async () => {
    const token = await start(['S=s', 'C1=one'], (_path, response) =>
      response.writeHead(200, cookies('C1=mine')).end('x'),
    );
    const { renewed } = await call(token);
    const other = await start(['S=theirs', 'C1=one'], (_path, response) => response.end('x'));
    if (!renewed) throw new Error('not renewed');
    expect(valuesOf(backend.merge(token, renewed, other))).toEqual(['C1=mine', 'S=theirs']);
  });

  it('may be a value in a header or a document, and later requests go with it', async () => {
    let count = 0;
    const tickets: (string | undefined)[] = [];
    const token = await start(
      [],
      (path, response, request) => {
        tickets.push(request.headers['x-ticket'] as string);
        if (path === '/page') response.writeHead(200, { 'x-next': `ticket-${++count}` }).end('x');
        else response.end('x');
      },
      {
        login: [{ request: { path: '/login' }, extract: { ticket: { json: '/ticket' } } }],
        session: {
          values: ['ticket'],
          headers: { 'X-Ticket': '{session.ticket}' },
          renew: { ticket: { header: 'X-Next' } },
        },
      },
    );
    const first = await call(token);
    expect(first.renewed?.reveal().values).toEqual({ ticket: 'ticket-1' });
    await call(first.renewed as BackendTokenSecret, 'deep');
    expect(tickets).toEqual(['ticket-0', 'ticket-1']);
  });

  it('leaves the CSRF token that was fetched for the session', async () => {
    let cookie = 0;
    let fetched = 0;
    let token = await start(
      ['S=s0'],
      (path, response) => {
        if (path === '/token') return response.end(JSON.stringify({ token: `token-${++fetched}` }));
        return response.writeHead(200, cookies(`S=s${++cookie}`)).end('x');
      },
      {
        csrf: { request: { path: '/token' }, extract: { t: { json: '/token' } }, headers: { 'X-T': '{csrf.t}' } },
        keep_alive: { request: { path: '/write', headers: { 'X-T': '{csrf.t}' } }, every_seconds: 60 },
      },
    );
    for (let i = 0; i < 3; i++) {
      const { renewed } = await backend.keepAlive(token);
      if (!renewed) throw new Error('not renewed');
      token = renewed;
    }
    expect(fetched).toBe(1);
  });
});

describe('R-95: an answer that is no good', () => {
  it.each([
    ['a status', (response: ServerResponse) => response.writeHead(500, cookies('S=copy')).end()],
    [
      'a redirect',
      (response: ServerResponse) => response.writeHead(302, { location: '/x', ...cookies('S=copy') }).end(),
    ],
    ['an ended session', (response: ServerResponse) => response.writeHead(401, cookies('S=copy')).end()],
    [
      'a compressed body',
      (response: ServerResponse) =>
        response.writeHead(200, { 'content-encoding': 'gzip', ...cookies('S=copy') }).end('x'),
    ],
    [
      'a body that breaks off',
      (response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '100', ...cookies('S=copy') });
        response.write('x');
        setTimeout(() => response.destroy(), 20);
      },
    ],
  ])('%s: the session that it brings is not dropped', async (_name, answer) => {
    const token = await start(['S=s'], (_path, response) => answer(response));
    const { renewed, strays } = await call(token);
    expect(renewed).toBeUndefined();
    expect(strays?.map(valuesOf)).toEqual([['S=copy']]);
  });
});

describe('R-82: a logout', () => {
  const PROBE = { logout: { request: { path: '/logout' } }, probe: { request: { path: '/me' } } };

  it('is proven by a probe that has been seen to pass', async () => {
    let live = true;
    const token = await start(
      ['S=s'],
      (path, response) => {
        if (path === '/logout') live = false;
        response.writeHead(live ? 200 : 401).end();
      },
      PROBE,
    );
    expect(await backend.logout(token)).toBe('dead');
  });

  it('is unproven by a probe that calls every session ended, and by an answer that is not recognised', async () => {
    let status = 401;
    const token = await start(['S=s'], (_path, response) => response.writeHead(status).end(), PROBE);
    expect(await backend.logout(token)).toBe('unproven');
    status = 404;
    expect(await backend.logout(token)).toBe('unproven');
    status = 200;
    expect(await backend.logout(token)).toBe('residual');
  });

  it('R-95: ends the value that a probe brings, at a backend whose values work once', async () => {
    const live = new Set(['s0']);
    const token = await start(
      ['S=s0'],
      (path, response, request) => {
        const id = /S=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
        if (!live.delete(id)) return response.writeHead(401).end();
        if (path === '/logout') return response.writeHead(302, { location: '/' }).end();
        const next = `s${Number(id.slice(1)) + 1}`;
        live.add(next);
        return response.writeHead(200, cookies(`S=${next}`)).end();
      },
      PROBE,
    );
    expect(await backend.logout(token)).toBe('dead');
    expect(live.size).toBe(0);
  });

  it('is proven at a backend that opens a session for every visitor, where each answer brings an anonymous one', async () => {
    let visitors = 0;
    const live = new Set(['s']);
    const token = await start(
      ['S=s'],
      (path, response, request) => {
        const id = /S=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
        if (path === '/logout') {
          live.delete(id);
          return response.writeHead(302, { location: '/', ...cookies(`S=visitor${++visitors}`) }).end();
        }
        if (live.has(id)) return response.writeHead(200).end();
        return response.writeHead(401, id.startsWith('visitor') ? {} : cookies(`S=visitor${++visitors}`)).end();
      },
      PROBE,
    );
    expect(await backend.logout(token)).toBe('dead');
    expect(visitors).toBeLessThan(4);
  });

  it('R-95: that the backend does not answer hands on what its probe has brought', async () => {
    const token = await start(
      ['S=s0'],
      (path, response) =>
        path === '/me' ? response.writeHead(200, cookies('S=next')).end() : response.writeHead(503).end(),
      PROBE,
    );
    const left: (string[] | undefined)[] = [];
    expect(await backend.logout(token, async (value) => void left.push(valuesOf(value)))).toBe('unreachable');
    expect(left.flat()).toContain('S=s0');
  });
});
