// A forward proxy on the way to a backend: only where the configuration says so, and then always.
import { createServer, type IncomingMessage, request as send } from 'node:http';
import { createServer as createTls } from 'node:https';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type Certificate, type Certificates, createCertificates } from '../support/certificates.ts';
import { type Fronted, front, textOf } from '../support/fronted.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
let certificates: Certificates;
let appliance: Certificate;
beforeAll(() => {
  certificates = createCertificates();
  appliance = certificates.make('appliance');
});
afterAll(() => certificates.remove());

const listen = async (server: ReturnType<typeof createServer>): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => void server.close(resolve).closeAllConnections()));
  return (server.address() as { port: number }).port;
};

/** A proxy that notes what it is asked for. `password`: what it demands. */
async function startProxy(password?: string) {
  const asked: string[] = [];
  const allowed = ({ headers }: IncomingMessage) =>
    password === undefined ||
    headers['proxy-authorization'] === `Basic ${Buffer.from(`agent:${password}`).toString('base64')}`;
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} host=${request.headers.host}`);
    if (!allowed(request)) return void response.writeHead(407).end();
    const { 'proxy-authorization': _, ...headers } = request.headers;
    const onward = send(request.url ?? '', { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward.on('error', () => response.writeHead(502).end()));
  });
  const tunnels = new Set<Socket>();
  server.on('connect', (request, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    if (!allowed(request)) return void socket.end('HTTP/1.1 407 Credentials\r\nContent-Length: 0\r\n\r\n');
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(request.url ?? '') ?? [];
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    for (const each of [socket, onward]) tunnels.add(each.on('error', () => {}));
  });
  closing.push(() => tunnels.forEach((each) => void each.destroy()));
  return { url: `http://127.0.0.1:${await listen(server)}`, asked };
}

async function startBackend(tls: boolean): Promise<string> {
  const handle: Parameters<typeof createServer>[1] = (request, response) => {
    request.resume();
    response.writeHead(200, request.url === '/login' ? { 'set-cookie': 'S=session-1' } : {}).end('fine');
  };
  const server = tls ? createTls({ key: appliance.key, cert: appliance.cert }, handle) : createServer(handle);
  return `${tls ? 'https' : 'http'}://127.0.0.1:${await listen(server as ReturnType<typeof createServer>)}`;
}

async function through(url: string, proxy: string, env: Record<string, string> = {}): Promise<Fronted> {
  const at = await front({
    env,
    yaml: `
backends:
  app:
    url: ${url}
    ${proxy === '' ? '' : `proxy: ${proxy}`}
    ${url.startsWith('https') ? `ca_file: ${appliance.certFile}` : ''}
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
tools:
  page: { backend: app, description: Page, effect: read, request: { path: /page, query: { q: "{q}" } }, arguments: { type: object, properties: { q: { type: string } } }, result: { as: text } }`,
  });
  closing.push(() => at.close());
  return at;
}

const startRecord = async (at: Fronted) => (await at.audit('event')).find(({ event }) => event === 'sys_startup');

it.each([
  false,
  true,
])('everything goes through the proxy that is configured (TLS: %s), and the start record names it', async (tls) => {
  const proxy = await startProxy();
  const url = await startBackend(tls);
  const at = await through(url, proxy.url);
  expect(textOf(await at.call('page', { q: 'a b' }))).toBe('fine');
  const host = url.replace(/^https?:\/\//, '');
  expect(proxy.asked[0]).toBe(tls ? `CONNECT ${host}` : `POST ${url}/login host=${host}`);
  if (!tls) expect(proxy.asked[1]).toBe(`GET ${url}/page?q=a+b host=${host}`);
  expect((await startRecord(at))?.proxies).toBe(`backends.app ${proxy.url}`);
});

it.each([false, true])('a proxy with credentials gets them, and nobody else (TLS: %s)', async (tls) => {
  const proxy = await startProxy('s3cret-of-the-proxy');
  const url = await startBackend(tls);
  const env = { PROXY_PASSWORD: 's3cret-of-the-proxy' };
  const at = await through(url, `{ url: "${proxy.url}", user: agent, password: { env: PROXY_PASSWORD } }`, env);
  expect(textOf(await at.call('page'))).toBe('fine');
  expect(JSON.stringify(await at.audit())).not.toContain('s3cret');
  const without = await through(url, proxy.url);
  expect(textOf(await without.call('page'))).not.toBe('fine');
  if (tls) {
    const failed = (await without.audit('event')).find(({ event }) => event === 'backend_login_fail');
    expect(failed?.detail).toMatch(/ERR_PROXY_407: .*proxy: \{ url, user, password \}/);
  }
});

it('R-51: the environment alone leads no session past a proxy', async () => {
  const proxy = await startProxy();
  const url = await startBackend(false);
  const env = { HTTP_PROXY: proxy.url, http_proxy: proxy.url, HTTPS_PROXY: proxy.url, ALL_PROXY: proxy.url };
  const at = await through(url, '', env);
  expect(textOf(await at.call('page'))).toBe('fine');
  expect(proxy.asked).toEqual([]);
  expect((await startRecord(at))?.proxies).toBeUndefined();
});

it.each([
  ['http_proxy', '', true],
  ['HTTP_PROXY', 'other.host', true],
  ['HTTP_PROXY', 'other.host, 127.0.0.1', false],
  ['HTTP_PROXY', '*', false],
  ['HTTP_PROXY', '127.0.0.1:1', true],
  ['HTTPS_PROXY', '', false],
])('with "proxy: environment", %s and NO_PROXY "%s"', async (name, excepted, proxied) => {
  const proxy = await startProxy();
  const at = await through(await startBackend(false), 'environment', { [name]: proxy.url, NO_PROXY: excepted });
  expect(textOf(await at.call('page'))).toBe('fine');
  expect(proxy.asked.length > 0).toBe(proxied);
  expect((await startRecord(at))?.proxies).toBe(proxied ? `backends.app ${proxy.url}` : undefined);
});

it('a proxy that is away, or lets nothing through, is told as such, and credentials in its URL are refused', async () => {
  const away = await through(await startBackend(true), 'http://127.0.0.1:9');
  await away.call('page');
  expect((await away.audit('outcome')).at(-1)).toMatchObject({ reasons: ['backend.unavailable'], request: 'not_sent' });
  await expect(through('http://127.0.0.1:9', 'http://user:pw@127.0.0.1:9')).rejects.toThrow(
    /credentials do not belong/,
  );
  await expect(through('http://127.0.0.1:9', 'environment', { HTTP_PROXY: 'socks5://x:1' })).rejects.toThrow(
    /HTTP_PROXY/,
  );
});
