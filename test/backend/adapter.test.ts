// The adapter against small real servers that answer in odd ways.
import { createServer, type RequestListener, type Server } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, it, vi } from 'vitest';
import { createBackendAdapter } from '../../src/backend/adapter.ts';
import type { BackendPort, BackendTokenSecret } from '../../src/backend/port.ts';
import { backendSchema } from '../../src/config/schema/backend.ts';
import { toolSchema } from '../../src/config/schema/tool.ts';
import { createTestClock } from '../support/clock.ts';

let server: Server;
let backend: BackendPort;
afterEach(async () => {
  await backend.close();
  server.close();
  server.closeAllConnections();
});

const TOKEN = 'A1B2C3D4E5F6';

async function answering(listener: RequestListener): Promise<void> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const config = backendSchema.parse({
    url: `http://127.0.0.1:${port}`,
    login: [{ request: { path: '/login' } }],
    session: { cookies: ['S'] },
    expired: [{ form_field: 'pw' }, { redirect_to: '/login' }],
  });
  const tool = (as: string) =>
    toolSchema.parse({ backend: 'b', description: 'd', effect: 'read', request: { path: '/page' }, result: { as } });
  backend = createBackendAdapter({
    name: 'b',
    config,
    tools: { page: tool('text'), data: tool('json') },
    accounts: () => SHARED,
    clock: createTestClock(),
  });
}

const SHARED = { key: '', credentials: {} };
const callWith = (token: BackendTokenSecret, tool = 'page') =>
  backend.call({ tool, arguments: {}, backendToken: token, account: SHARED, signal: new AbortController().signal });

async function call(tool = 'page') {
  const login = await backend.login(SHARED, async () => {});
  if (!login.ok) throw new Error(login.detail);
  return callWith(login.backendToken, tool);
}

const page =
  (headers: Record<string, string>, body: string | Buffer): RequestListener =>
  (request, response) => {
    if (request.url === '/login') response.writeHead(200, { 'set-cookie': `S=${TOKEN}; Path=/` }).end();
    else response.writeHead(200, headers).end(body);
  };

it('R-40: a compressed answer is unpacked and searched; what cannot be unpacked is refused', async () => {
  await answering(
    page(
      { 'content-type': 'text/html; charset=iso-8859-1', 'content-encoding': 'gzip' },
      gzipSync(`S=${TOKEN}<input name=pw>`),
    ),
  );
  expect(await call()).toMatchObject({ kind: 'expired' });
  await answering(page({ 'content-type': 'text/html', 'content-encoding': 'zstd' }, `S=${TOKEN}`));
  expect(await call()).toMatchObject({ kind: 'failed', code: 'backend.response_unusable' });
});

it('R-53: a login page without a content type, or with a wrong one, shows an expired session and is not data', async () => {
  await answering(page({}, ' <form><input name="pw"></form>'));
  expect(await call()).toMatchObject({ kind: 'expired' });
  await backend.close();
  server.close();
  await answering(page({ 'content-type': 'application/json' }, '<form><input name="pw"></form>'));
  expect(await call('data')).toMatchObject({ kind: 'expired' });
});

it('R-40: the session id is blanked in the keys and in the values of an answer', async () => {
  await answering(
    page({ 'content-type': 'application/json' }, JSON.stringify({ [`k${TOKEN}`]: `/a;jsessionid=${TOKEN}?x`, ok: 1 })),
  );
  expect(await call('data')).toMatchObject({
    kind: 'ok',
    value: { 'k[redacted]': '/a;jsessionid=[redacted]?x', ok: 1 },
  });
});

it('R-54: a changed cookie makes a new backend token; a removed cookie does not', async () => {
  await answering((request, response) => {
    if (request.url === '/login') return void response.writeHead(200, { 'set-cookie': 'S=one-one; Path=/' }).end();
    response
      .writeHead(200, {
        'set-cookie': request.headers.cookie === 'S=one-one' ? 'S=two-two; Path=/' : 'S=; Max-Age=0; Path=/',
      })
      .end();
  });
  const first = await call();
  if (first.kind !== 'ok' || !first.renewed) throw new Error('not renewed');
  const second = await callWith(first.renewed);
  expect(second).toMatchObject({ kind: 'ok', renewed: undefined });
  expect(first.renewed.reveal().cookies).toMatchObject([{ key: 'S', value: 'two-two' }]);
});

it('R-50, attack 23: a redirect to another origin is not followed, and no header is sent there', async () => {
  const heard: string[] = [];
  const elsewhere = createServer((request, response) => {
    heard.push(String(request.headers.cookie));
    response.end();
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  const { port } = elsewhere.address() as { port: number };
  await answering((request, response) => {
    if (request.url === '/login') return void response.writeHead(200, { 'set-cookie': `S=${TOKEN}` }).end();
    response.writeHead(302, { location: `http://127.0.0.1:${port}/login` }).end();
  });
  expect(await call()).toMatchObject({ kind: 'failed', code: 'backend.redirected', detail: 'to another origin' });
  expect(heard).toEqual([]);
  elsewhere.close();
});

it('R-53, R-91: a session whose cookies are over is told as ended before anything is sent', async () => {
  const seen: string[] = [];
  await answering((request, response) => {
    seen.push(request.url ?? '');
    response.writeHead(200, { 'set-cookie': 'S=1; Path=/; Max-Age=60', 'content-type': 'text/plain' }).end('fine');
  });
  const login = await backend.login(SHARED, async () => {});
  if (!login.ok) throw new Error(login.detail);
  expect(await callWith(login.backendToken)).toMatchObject({ kind: 'ok' });
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
  try {
    expect(await callWith(login.backendToken)).toMatchObject({ kind: 'expired', outcome: 'not_sent' });
  } finally {
    vi.useRealTimers();
  }
  expect(seen).toEqual(['/login', '/page']);
});
