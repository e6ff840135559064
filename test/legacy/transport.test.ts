// HTTP and TLS as old systems, appliances and the proxies before them speak it.

import { X509Certificate } from 'node:crypto';
import { createServer as createTlsHttp } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { keyPin } from '../../src/backend/http/connection/tls.ts';
import { createJar } from '../../src/backend/http/jar.ts';
import { type Certificate, type Certificates, createCertificates } from '../support/certificates.ts';
import { type Fronted, front, textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import {
  call,
  connect,
  connector,
  connectWith,
  EXPIRED,
  ok,
  serve,
  serveAll,
  server,
  yamlOf,
} from '../support/one-app.ts';

describe('R-91: interim answers nobody asked for', () => {
  const BODY = '{"ok":true}';
  const FINAL = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

  it('at any place in the stream and however it is cut into packets, the answer is the answer', async () => {
    let plan: { text: string; cuts: number[] } = { text: FINAL, cuts: [] };
    const app = await rawServer((request, socket) => {
      if (request.startsWith('POST /login'))
        return void socket.write(FINAL.replace('OK\r\n', 'OK\r\nSet-Cookie: S=session-1\r\n'));
      const bytes = Buffer.from(plan.text);
      const cuts = [...new Set([0, ...plan.cuts.map((cut) => cut % bytes.length), bytes.length])].sort((a, b) => a - b);
      void (async () => {
        for (const [i, cut] of cuts.slice(0, -1).entries()) {
          socket.write(bytes.subarray(cut, cuts[i + 1]));
          await new Promise(setImmediate);
        }
      })();
    });
    const at = await frontOf(app.url);
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.constantFrom(
            CONTINUE,
            CONTINUE.replace('1.1', '1.0'),
            'HTTP/1.1 100 \r\nDate: x\r\n\r\n',
            'HTTP/1.1 102 P\r\n\r\n',
            'HTTP/1.1 103 E\r\nLink: <x>\r\n\r\n',
          ),
          { maxLength: 4 },
        ),
        fc.array(fc.nat(400), { maxLength: 6 }),
        async (interim, cuts) => {
          plan = { text: interim.join('') + FINAL, cuts };
          expect(textOf(await at.call('put'))).toBe(BODY);
        },
      ),
      { numRuns: 60 },
    );
    // One connection after the other was not thrown away.
    expect(app.connections()).toBeLessThan(4);
    await at.close();
    await app.close();
  });

  it('one that never ends, and one that is no answer, are not waited for without end', async () => {
    let text = 'HTTP/1.1 100 Continue\r\n';
    const app = await rawServer((request, socket) =>
      socket.write(
        request.startsWith('POST /login') ? FINAL.replace('OK\r\n', 'OK\r\nSet-Cookie: S=session-1\r\n') : text,
      ),
    );
    const at = await frontOf(app.url, 'timeout_ms: 300');
    expect(reasons(await at.call('put'))).toEqual(['backend.deadline']);
    text = `HTTP/1.1 100 ${'x'.repeat(40_000)}`;
    expect(reasons(await at.call('put'))).toEqual(['backend.unavailable']);
    // A flood, cut in the middle of one.
    text = `${'HTTP/1.1 100 \r\n\r\n'.repeat(100_000)}HTTP/1`;
    expect(reasons(await at.call('put'))).toEqual(['backend.unavailable']);
    expect((await at.audit('outcome')).at(-1)).toMatchObject({
      detail: 'ERR_INTERIM_ANSWERS',
      request: 'sent_unknown',
    });
    await at.close();
    await app.close();
  });
});

describe('encodings of an answer', () => {
  const text = 'Grüße, and a lot of text. '.repeat(20);
  const bytes = Buffer.from(text);
  it.each<[string, Buffer, string | undefined]>([
    ['gzip', gzipSync(bytes), text],
    ['GZIP', gzipSync(bytes), text],
    ['x-gzip', gzipSync(bytes), text],
    ['deflate', deflateSync(bytes), text],
    ['deflate', deflateRawSync(bytes), text],
    ['br', brotliCompressSync(bytes), text],
    ['gzip, br', brotliCompressSync(gzipSync(bytes)), text],
    ['identity, gzip', gzipSync(bytes), text],
    ['utf-8, gzip', gzipSync(bytes), text],
    ['', bytes, text],
    ['none', bytes, text],
    ['utf-8', bytes, text],
    ['8bit', bytes, text],
    ['IDENTITY', bytes, text],
    ['binary', bytes, text],
    ['__proto__', bytes, text],
    ['gzip', bytes, undefined],
    ['gzip', gzipSync(bytes).subarray(0, 30), undefined],
    ['br', bytes, undefined],
    ['zstd', bytes, undefined],
    ['gzip, gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(gzipSync(bytes)))), undefined],
    ['gzip', gzipSync(Buffer.alloc(20_000_000)), undefined],
    ['br', brotliCompressSync(Buffer.alloc(20_000_000)), undefined],
  ])('%s', async (encoding, body, read) => {
    await serve(({ response }) =>
      ok(response, body, { 'content-type': 'text/plain; charset=utf-8', 'content-encoding': encoding }),
    );
    await connect(EXPIRED);
    const answer = await call('page');
    if (read === undefined)
      expect(reasons(answer)).toEqual([expect.stringMatching(/^backend\.response_(unusable|too_large)$/)]);
    else expect(textOf(answer)).toBe(read);
  });

  it('R-53, R-40: what was packed is looked at like anything else', async () => {
    await serve(({ cookie, response }) =>
      ok(response, gzipSync(cookie === 'S=session-1' ? '<input name=pw>' : `token ${cookie.slice(2)}`), {
        'content-encoding': 'gzip',
      }),
    );
    await connect('expired: [{ form_field: pw }]');
    expect(textOf(await call('page'))).toBe('token [redacted]');
  });
});

it('headers beyond 16 KB need a key, and say which', async () => {
  await serve(({ response }) => ok(response, 'fine', { 'x-long': 'y'.repeat(40_000) }));
  await connect(EXPIRED);
  expect(reasons(await call('page'))).toEqual(['backend.response_too_large']);
  expect((await connector.audit('outcome')).at(-1)?.detail).toMatch(/max_header_bytes/);
  await connector.close();
  await connect(`${EXPIRED}\nmax_header_bytes: 65536`);
  expect(textOf(await call('page'))).toBe('fine');
});

describe('R-55: a kept-alive connection that the backend drops', () => {
  it.each([
    'end',
    'reset',
  ])('a read is asked once more, a write is not, and the circuit stays closed (%s)', async (how) => {
    const seen: string[] = [];
    const served = new Set<Socket>();
    let dropped = 0;
    const app = await rawServer((request, socket) => {
      const login = request.startsWith('POST /login');
      if (!login) seen.push(request.slice(0, 4).trim());
      // A connection without an answer so far is one that the backend has not kept alive.
      if (served.has(socket) && !login) {
        dropped += 1;
        return how === 'end' ? void socket.end() : void socket.resetAndDestroy();
      }
      served.add(socket);
      const cookie = login ? 'Set-Cookie: S=session-1\r\n' : '';
      socket.write(`HTTP/1.1 200 OK\r\n${cookie}Content-Length: 4\r\n\r\nfine`);
    });
    const at = await frontOf(app.url, 'breaker: { failures: 1, open_seconds: 60 }', 'text');
    for (let i = 0; i < 10; i++) expect(textOf(await at.call('page'))).toBe('fine');
    expect(dropped).toBeGreaterThan(2);
    expect(seen).toHaveLength(10 + dropped);
    const outcomes: unknown[] = [];
    const before = dropped;
    for (let i = 0; i < 4 && dropped === before; i++)
      outcomes.push((await at.call('put')).body.result._meta['sallyport/outcome']);
    expect(outcomes.at(-1)).toBe('sent_unknown');
    expect(seen.filter((method) => method === 'POST')).toHaveLength(outcomes.length);
    await at.close();
    await app.close();
  });

  it('a backend that drops every connection is down', async () => {
    const app = await rawServer((request, socket) => {
      if (request.startsWith('POST /login'))
        return void socket.write('HTTP/1.1 200 OK\r\nSet-Cookie: S=session-1\r\nContent-Length: 0\r\n\r\n');
      socket.end();
    });
    const at = await frontOf(app.url, 'breaker: { failures: 2, open_seconds: 60 }', 'text');
    for (let i = 0; i < 2; i++) expect(reasons(await at.call('page'))).toEqual(['backend.unavailable']);
    await at.call('page');
    expect((await at.audit('outcome')).at(-1)?.detail).toBe('circuit open');
    await at.close();
    await app.close();
  });
});

it('Secure cookies go over plain http only where that is asked for, and the start record names the backend', async () => {
  const jar = createJar();
  jar.store(['S=1; Path=/; Secure'], 'http://legacy.internal/login');
  expect(jar.names()).toEqual([]);
  await serveAll((request, response) => {
    const login = { 'set-cookie': ['S=session-1; Path=/; Secure; HttpOnly', '__Host-T=t; Path=/; Secure'] };
    response.writeHead(200, request.url === '/login' ? login : {}).end(request.headers.cookie ?? 'none');
  });
  await connectWith(yamlOf(EXPIRED, '').replace('cookies: [S]', 'cookies: [S, __Host-T], cookies_over_http: true'));
  expect(textOf(await call('page'))).toMatch(/^S=\[redacted\]; __Host-T=t$/);
  const start = (await connector.audit('event')).find(({ event }) => event === 'sys_startup');
  expect(start?.cookies_over_http).toBe('backends.app');
});

describe('TLS', () => {
  let certificates: Certificates;
  let appliance: Certificate;
  let agent: Certificate;
  beforeAll(() => {
    certificates = createCertificates();
    appliance = certificates.make('appliance');
    agent = certificates.make('agent');
  });
  afterAll(() => certificates.remove());
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function over(keys: string, options: TlsOptions = {}, host = '127.0.0.1') {
    const server = createTlsHttp({ key: appliance.key, cert: appliance.cert, ...options }, (request, response) => {
      request.resume();
      response.writeHead(200, request.url === '/login' ? { 'set-cookie': 'S=session-1; Secure' } : {}).end('fine');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => void server.close(resolve).closeAllConnections()));
    const at = await frontOf(`https://${host}:${(server.address() as { port: number }).port}`, keys, 'text');
    closing.push(() => at.close());
    const answer = await at.call('page');
    const detail = (await at.audit('event')).filter(({ event }) => event === 'backend_login_fail').at(-1)?.detail ?? '';
    return { text: textOf(answer), detail: `${detail} ${(await at.audit('outcome')).at(-1)?.detail ?? ''}` };
  }
  const pin = (of: Certificate) => keyPin(new X509Certificate(of.cert));

  it('a certificate that names another host needs its name', async () => {
    const named = certificates.make('other', undefined, 2);
    const { detail } = await over(
      `ca_file: ${appliance.certFile}`,
      {},
      'localhost.localdomain'.replace('.localdomain', ''),
    );
    expect(detail.trim()).toBe('');
    const wrong = await over(`ca_file: ${appliance.certFile}\ntls: { server_name: proxmox.local }`);
    expect(wrong.detail).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID: .*tls\.server_name/);
    const right = await over(`ca_file: ${named.certFile}\ntls: { server_name: localhost }`, {
      key: named.key,
      cert: named.cert,
    });
    expect(right.text).toBe('fine');
  });

  it('a certificate that nobody has signed says what to set', async () => {
    expect((await over('')).detail).toMatch(/DEPTH_ZERO_SELF_SIGNED_CERT: .*ca_file.*tls\.pin/);
  });

  it('a pinned key is enough, whatever else the certificate says, and another key is not', async () => {
    expect((await over(`tls: { pin: ${pin(appliance)} }`)).text).toBe('fine');
    expect((await over(`tls: { pin: [${pin(agent)}, "sha256//${pin(appliance)}"] }`)).text).toBe('fine');
    const wrong = await over(`tls: { pin: ${pin(agent)} }`);
    expect(wrong.text).not.toBe('fine');
    expect(wrong.detail).toMatch(/ERR_TLS_KEY_NOT_PINNED: .*tls\.pin/);
  });

  it('a client certificate is shown to a backend that asks for one', async () => {
    const asks = { requestCert: true, rejectUnauthorized: true, ca: agent.cert };
    const ca = `ca_file: ${appliance.certFile}`;
    expect((await over(`${ca}\ntls: { cert_file: ${agent.certFile}, key_file: ${agent.keyFile} }`, asks)).text).toBe(
      'fine',
    );
    expect((await over(ca, asks)).text).not.toBe('fine');
    await expect(over(`${ca}\ntls: { cert_file: ${agent.certFile}, key_file: ${appliance.keyFile} }`)).rejects.toThrow(
      /backends\.app\.tls/,
    );
    await expect(over(`${ca}\ntls: { cert_file: ${agent.certFile} }`)).rejects.toThrow(/go together/);
  });

  it('plain http behind https:// says so', async () => {
    await serve(({ response }) => ok(response, 'x'));
    const at = await frontOf(server.url.replace('http:', 'https:'));
    await at.call('page');
    const [event] = (await at.audit('event')).filter(({ event: name }) => name === 'backend_login_fail');
    expect(event?.detail ?? (await at.audit('outcome')).at(-1)?.detail).toMatch(/is it http:\/\//);
    await at.close();
  });
});

/** A server of raw bytes. `handle` gets each request once its body is there. */
async function rawServer(handle: (request: string, socket: Socket) => void) {
  const sockets = new Set<Socket>();
  let connections = 0;
  const listener: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (;;) {
        const end = text.indexOf('\r\n\r\n');
        const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, Math.max(0, end)))?.[1] ?? 0);
        if (end < 0 || text.length < end + 4 + length) return;
        const request = text.slice(0, end + 4 + length);
        text = text.slice(end + 4 + length);
        handle(request, socket);
      }
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(listener.address() as { port: number }).port}`,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        for (const each of sockets) each.destroy();
        listener.close(resolve);
      }),
  };
}

const frontOf = (url: string, keys = '', as = 'json', session = 'cookies: [S]'): Promise<Fronted> =>
  front({
    yaml: `
backends:
  app:
    url: ${url}
    login: [{ request: { method: POST, path: /login } }]
    session: { ${session} }
    ${EXPIRED}
${keys.replace(/^(?=.)/gm, '    ')}
tools:
  page: { backend: app, description: Page, effect: read, request: { path: /page }, result: { as: ${as} } }
  put: { backend: app, description: Put, effect: write, request: { method: POST, path: /put, json: {} }, result: { as: ${as} } }`,
  });
