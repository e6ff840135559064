// CSRF tokens, without which a backend accepts no write.
import { afterEach, expect, it } from 'vitest';
import { createTestClock } from '../support/clock.ts';
import { bodyOf, type Fronted, front, type LegacyServer, legacyServer, structured } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';

let server: LegacyServer;
let connector: Fronted;
let issued: number;
/** The CSRF tokens that the backend accepts, and how often each was used. */
let good: Map<string, number>;
let sessions: Set<string>;
/** Called with the CSRF token of each write, for example to make the token invalid. */
let onWrite: (token: string) => void;
let writes: string[];
afterEach(async () => {
  await connector?.close();
  await server?.close();
});

/** Double submit: the CSRF token comes in its own cookie and in a page, and both must come back. */
async function connect(
  lasts: 'session' | 'call',
  refused = 'refused: [{ status: 403, body_contains: csrf }]',
): Promise<void> {
  issued = 0;
  good = new Map();
  sessions = new Set();
  writes = [];
  onWrite = () => {};
  server = await legacyServer(async (request, response) => {
    const cookie = request.headers.cookie ?? '';
    const session = /S=(\w+)/.exec(cookie)?.[1] ?? '';
    if (request.url === '/login') {
      sessions.add(`s${sessions.size}`);
      return response.writeHead(200, { 'set-cookie': `S=s${sessions.size - 1}; Path=/` }).end();
    }
    if (!sessions.has(session)) return response.writeHead(401).end();
    if (request.url === '/token') {
      const token = `csrf-token-${++issued}`;
      good.set(token, 0);
      return response.writeHead(200, { 'set-cookie': `XSRF=${token}; Path=/` }).end(JSON.stringify({ token }));
    }
    if (request.method === 'GET') return response.writeHead(200).end('{"read":true}');
    const token = String(request.headers['x-csrf'] ?? '');
    if (!good.has(token) || !cookie.includes(`XSRF=${token}`)) return response.writeHead(403).end('bad csrf token');
    good.set(token, (good.get(token) ?? 0) + 1);
    writes.push(await bodyOf(request));
    onWrite(token);
    return response.writeHead(200).end(JSON.stringify({ done: true, echo: token }));
  });
  const yaml = `
backends:
  app:
    url: ${server.url}
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
    csrf:
      request: { path: /token }
      extract: { token: { json: /token } }
      cookies: [XSRF]
      headers: { X-CSRF: "{csrf.token}" }
      lasts: ${lasts}
      ${refused}
    expired: [{ status: 401 }]
tools:
  get: { backend: app, description: Get, effect: read, request: { path: /data } }
  put:
    backend: app
    description: Put
    effect: write
    arguments: { type: object, properties: { value: { type: string } } }
    request: { method: POST, path: /data, form: { value: "{value}" } }
`;
  connector = await front({ yaml, clock: createTestClock() });
}
const tokens = () => server.requests.filter((line) => line === 'GET /token').length;

it('CSRF tokens are fetched for the first write, kept with the session, and never shown in a result', async () => {
  await connect('session');
  await connector.call('get');
  expect(tokens()).toBe(0);
  for (let i = 0; i < 3; i++)
    expect(structured(await connector.call('put', { value: `v${i}` }))).toEqual({ done: true, echo: '[redacted]' });
  expect(tokens()).toBe(1);
  expect(writes).toEqual(['value=v0', 'value=v1', 'value=v2']);
});

it('a refused CSRF token is fetched anew, and the write is sent again exactly once', async () => {
  await connect('session');
  await connector.call('put', { value: 'a' });
  good.clear();
  expect(structured(await connector.call('put', { value: 'b' }))).toMatchObject({ done: true });
  expect(tokens()).toBe(2);
  expect(writes).toEqual(['value=a', 'value=b']);
  // A backend that accepts no CSRF token at all is not asked again and again.
  onWrite = () => {};
  good.set = () => good;
  good.clear();
  expect(reasons(await connector.call('put', { value: 'c' }))).toEqual(['backend.rejected']);
  expect(server.requests.filter((line) => line === 'POST /data')).toHaveLength(5);
});

it('when the configuration does not say how a refused CSRF token looks, a refused write is a failure', async () => {
  await connect('session', '');
  await connector.call('put', { value: 'a' });
  good.clear();
  expect(reasons(await connector.call('put', { value: 'b' }))).toEqual(['backend.rejected']);
  expect(tokens()).toBe(1);
});

it('CSRF tokens that work once are fetched for every write, also for concurrent writes', async () => {
  await connect('call');
  onWrite = (token) => good.delete(token);
  const answers = await Promise.all(['a', 'b', 'c', 'd'].map((value) => connector.call('put', { value })));
  expect(answers.map((answer) => structured(answer)?.done)).toEqual([true, true, true, true]);
  expect([...writes].sort()).toEqual(['value=a', 'value=b', 'value=c', 'value=d']);
  expect(tokens()).toBe(4);
});

it('R-53: a session that has ended is noticed before the write is sent, which is then sent once', async () => {
  await connect('call');
  await connector.call('get');
  sessions.clear();
  sessions.add('other');
  expect(structured(await connector.call('put', { value: 'a' }))).toMatchObject({ done: true });
  expect(writes).toEqual(['value=a']);
});
