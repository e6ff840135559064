// Unusual kinds of sessions, each on a real server.
import type { IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createTestClock } from '../support/clock.ts';
import { decisionLog } from '../support/decision-log.ts';
import { bodyOf, type Fronted, front, type LegacyServer, legacyServer, structured } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';

let server: LegacyServer;
let connector: Fronted;
afterEach(async () => {
  await connector?.close();
  await server?.close();
});

const cookiesOf = (request: IncomingMessage): Record<string, string> =>
  Object.fromEntries(
    (request.headers.cookie ?? '')
      .split('; ')
      .filter(Boolean)
      .map((pair) => pair.split('=') as [string, string]),
  );

async function connect(backend: string, tools = ''): Promise<void> {
  const yaml = `
backends:
  app:
    url: ${server.url}
${backend.replace(/^/gm, '    ')}
tools:
  get: { backend: app, description: Get, effect: read, request: { path: /data } }
  missing: { backend: app, description: Get, effect: read, request: { path: /missing } }
  put: { backend: app, description: Put, effect: write, request: { method: POST, path: /data } }
${tools}
`;
  connector = await front({ yaml, clock: createTestClock() });
}
const logins = () => server.requests.filter((line) => line === 'POST /login').length;
const LOGIN = 'login: [{ request: { method: POST, path: /login } }]';

it('several cookies from different answers that only work together', async () => {
  server = await legacyServer((request, response) => {
    const { a, b, c } = cookiesOf(request);
    if (request.url === '/one') return response.writeHead(200, { 'set-cookie': 'a=1' }).end();
    if (request.url === '/two')
      return response.writeHead(a ? 200 : 500, { 'set-cookie': ['b=2; Path=/', 'noise=1'] }).end();
    if (request.url === '/login') return response.writeHead(a && b ? 200 : 500, { 'set-cookie': 'c=3' }).end();
    return response
      .writeHead(a && b && c ? 200 : 401)
      .end(JSON.stringify({ sent: Object.keys(cookiesOf(request)).sort() }));
  });
  await connect(`
login:
  - request: { path: /one }
  - request: { path: /two }
  - request: { method: POST, path: /login }
session: { cookies: [a, b, c] }
expired: [{ status: 401 }]`);
  expect(structured(await connector.call('get'))).toEqual({ sent: ['a', 'b', 'c'] });
});

describe('a cookie that every answer replaces, and that works once', () => {
  let current = 0;
  let busy = 0;
  let most = 0;
  const start = () =>
    legacyServer(async (request, response) => {
      if (request.url === '/login')
        return response.writeHead(200, { 'set-cookie': `S=once-${++current}; Path=/` }).end();
      busy += 1;
      most = Math.max(most, busy);
      await new Promise((resolve) => setImmediate(resolve));
      busy -= 1;
      if (cookiesOf(request).S !== `once-${current}`) return response.writeHead(401).end();
      return response.writeHead(200, { 'set-cookie': `S=once-${++current}; Path=/` }).end('{"ok":true}');
    });

  it('R-54: the calls of a session run one after the other, each with the cookie of the call before it', async () => {
    server = await start();
    most = 0;
    await connect(`
${LOGIN}
session: { cookies: [S], one_at_a_time: true }
expired: [{ status: 401 }]`);
    const answers = await Promise.all(Array.from({ length: 12 }, () => connector.call('get')));
    // The policy allows eight calls in flight and denies the others; there is only one login.
    expect(answers.filter((answer) => structured(answer)?.ok === true).length).toBeGreaterThanOrEqual(8);
    expect(answers.flatMap(reasons).filter((code) => code !== 'usage.in_flight')).toEqual([]);
    expect(logins()).toBe(1);
    expect(most).toBe(1);
  });
});

describe('a refusal that sets a new anonymous cookie', () => {
  it.each([404, 403, 500, 302])('status %i: it is never taken for the session', async (status) => {
    server = await legacyServer((request, response) => {
      if (request.url === '/login') return response.writeHead(200, { 'set-cookie': 'S=real; Path=/' }).end();
      if (request.url === '/missing')
        return response.writeHead(status, { 'set-cookie': 'S=anonymous; Path=/', location: '/somewhere' }).end();
      return response.writeHead(200).end(JSON.stringify({ session: cookiesOf(request).S }).replace('real', 'ours'));
    });
    await connect(`
${LOGIN}
session: { cookies: [S] }
expired: [{ status: 401 }]`);
    await connector.call('get');
    expect(reasons(await connector.call('missing'))).toEqual([
      status === 302 ? 'backend.redirected' : 'backend.rejected',
    ]);
    expect(structured(await connector.call('get'))).toEqual({ session: 'ours' });
    expect(await connector.events()).toEqual(['session_opened']);
  });
});

it('a cookie whose name depends on the port', async () => {
  server = await legacyServer((request, response) => {
    const name = `sess_${server.url.split(':')[2]}`;
    if (request.url === '/login')
      return response.writeHead(200, { 'set-cookie': [`${name}=abcdef`, 'sess_style=dark'] }).end();
    return response
      .writeHead(cookiesOf(request)[name] ? 200 : 401)
      .end(JSON.stringify(Object.keys(cookiesOf(request)).length));
  });
  await connect(`
${LOGIN}
session: { cookies: [{ matching: '^sess_\\d+$' }] }
expired: [{ status: 401 }]`);
  expect((await connector.call('get')).body.result.content[0].text).toBe('1');
});

it('a remember-me cookie is used in the login it belongs to, and never kept', async () => {
  const seen: string[] = [];
  server = await legacyServer((request, response) => {
    seen.push(Object.keys(cookiesOf(request)).sort().join());
    if (request.url === '/login')
      return response
        .writeHead(200, { 'set-cookie': ['S=one; Path=/', 'REMEMBER=forever; Path=/; Max-Age=31536000'] })
        .end();
    if (request.url === '/data' && cookiesOf(request).REMEMBER) return response.writeHead(500).end();
    return response.writeHead(200, { 'set-cookie': 'REMEMBER=again; Path=/' }).end('{}');
  });
  await connect(`
login:
  - request: { method: POST, path: /login }
  - request: { path: /home }
session: { cookies: [S] }
expired: [{ status: 401 }]`);
  for (let i = 0; i < 2; i++) expect(reasons(await connector.call('get'))).toEqual([]);
  expect(seen).toEqual(['', 'REMEMBER,S', 'S', 'S']);
});

describe('logout', () => {
  /** Starts a backend that ends its session by POST with a CSRF token, or only pretends to. */
  const start = (really: boolean) =>
    legacyServer(async (request, response) => {
      const live = server.requests.filter((line) => line === 'POST /logout').length === 0 || !really;
      if (request.url === '/login') return response.writeHead(200, { 'set-cookie': 'S=one; Path=/' }).end();
      if (request.url === '/token') return response.writeHead(200).end('<meta name="csrf-token" content="tok-1">');
      if (request.url === '/logout') {
        const form = new URLSearchParams(await bodyOf(request));
        return response.writeHead(form.get('token') === 'tok-1' ? 302 : 403, { location: '/login' }).end();
      }
      return response.writeHead(live ? 200 : 401).end('{}');
    });
  const BACKEND = `
${LOGIN}
session: { cookies: [S] }
csrf: { request: { path: /token }, extract: { token: { meta: csrf-token } } }
logout: { request: { method: POST, path: /logout, form: { token: "{csrf.token}" } } }
probe: { request: { path: /data } }
expired: [{ status: 401 }]`;

  it.each([
    [true, 'dead', false],
    [false, 'residual', true],
  ])('by POST with a CSRF token; the old cookie is dead afterwards: %s', async (really, proof, residual) => {
    server = await start(really);
    await connect(BACKEND);
    await connector.call('get');
    await connector.connector.close();
    const once = ['GET /token', 'POST /logout', 'GET /data'];
    // A session that its probe finds alive may have been revived by it, so it is logged out once more.
    expect(server.requests.slice(2)).toEqual(really ? once : [...once, ...once.slice(1)]);
    const ended = decisionLog(connector.stateDir).find((record) => record.event === 'session_ended');
    expect(ended).toMatchObject({ proof, residual });
  });

  it('R-82: a session that the probe revives is logged out once more, and that shows', async () => {
    let logouts = 0;
    let revived = 0;
    server = await legacyServer((request, response) => {
      if (request.url === '/login') return response.writeHead(200, { 'set-cookie': 'S=one; Path=/' }).end();
      if (request.url === '/logout') return response.writeHead(++logouts && 204).end();
      // After its logout, the first request with the old cookie opens the session again.
      const live = logouts === 0 || (logouts === 1 && ++revived > 0);
      return response.writeHead(live ? 200 : 401).end('{}');
    });
    await connect(BACKEND.replace(/^csrf: .*$/m, '').replace(', form: { token: "{csrf.token}" }', ''));
    await connector.call('get');
    await connector.connector.close();
    expect([logouts, revived]).toEqual([2, 1]);
    const ended = decisionLog(connector.stateDir).find((record) => record.event === 'session_ended');
    expect(ended).toMatchObject({ proof: 'dead', residual: false });
  });

  it('R-95: where each answer brings a new cookie and no logout ends any, the backend is not asked without end', async () => {
    let cookies = 0;
    server = await legacyServer((_request, response) =>
      response.writeHead(200, { 'set-cookie': `S=value-${++cookies}; Path=/` }).end('{}'),
    );
    await connect(BACKEND.replace(/^csrf: .*$/m, '').replace(', form: { token: "{csrf.token}" }', ''));
    for (let i = 0; i < 3; i++) await connector.call('get');
    const used = server.requests.length;
    await connector.connector.close();
    const ended = decisionLog(connector.stateDir).filter((record) => record.event === 'session_ended');
    expect(ended.some(({ proof }) => proof === 'residual')).toBe(true);
    expect(server.requests.length - used).toBeLessThan(8 * ended.length);
  });
});
