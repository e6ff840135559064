// The edge of the process: what strangers can make it believe and read.
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Harness, HOME, startHarness } from '../support/harness.ts';
import { type ReverseProxy, startHaproxy, startNginx } from '../support/proxies.ts';
import { requestText, wire } from '../support/wire.ts';

const LIST = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'stock_list' } });
const FORGED = '203.0.113.9';
const portOf = (url: string) => Number(new URL(url).port);
const authorized = (h: Harness, ...lines: string[]) => [`Authorization: Bearer ${h.key}`, ...lines];
const filler = (count: number) => Array.from({ length: count }, (_, i) => `X-Filler-${i}: a`);
const lastIp = async (h: Harness) => (await h.audit('decision')).at(-1)?.input.client.ip;

describe.each([
  ['HAProxy', 'haproxy', startHaproxy],
  ['NGINX', 'nginx', startNginx],
] as const)('R-10: the address of a client behind a real %s', (_name, program, start) => {
  const found = inject(program);
  const run = it.skipIf(found === null);
  let h: Harness;
  let proxy: ReverseProxy;
  beforeAll(async () => {
    if (found === null) return;
    h = await startHarness();
    proxy = await start(found, h.url);
  });
  afterAll(async () => {
    await proxy?.stop();
    await h?.close();
  });

  run('is that of its connection, whatever the client sends', async () => {
    const answer = await wire(proxy.port, requestText(LIST, authorized(h, `X-Forwarded-For: ${FORGED}`)));
    expect(answer.status).toBe(200);
    expect(await lastIp(h)).toBe('127.0.0.1');
  });

  run.each([80, 90, 92, 93, 94, 95, 96])('attack 45: is never chosen with %d header lines', async (count) => {
    const lines = authorized(h, `X-Forwarded-For: ${FORGED}`, ...filler(count));
    const before = (await h.audit('decision')).length;
    const { status } = await wire(proxy.port, requestText(LIST, lines));
    const decided = (await h.audit('decision')).slice(before);
    expect(decided.map(({ input }) => input.client.ip)).toEqual(status === 200 ? ['127.0.0.1'] : []);
    expect([200, 400, 431]).toContain(status);
  });
});

describe('R-86: header lines', () => {
  let h: Harness;
  beforeAll(async () => {
    h = await startHarness();
  });
  afterAll(() => h.close());

  it('a request with more header lines than are read is refused, before its credential is looked at', async () => {
    const few = await wire(portOf(h.url), requestText(LIST, authorized(h, ...filler(90), `X-Forwarded-For: ${HOME}`)));
    expect(few.status).toBe(200);
    const many = await wire(portOf(h.url), requestText(LIST, [...filler(120), `X-Forwarded-For: ${HOME}`]));
    expect(many.text).toContain('"error":"too_many_headers"');
    expect(many.status).toBe(431);
    const thousands = await wire(portOf(h.url), requestText(LIST, Array<string>(3000).fill('A: b')));
    expect(thousands.status).toBe(431);
  });

  it.each([
    'Authorization',
    'Mcp-Session-Id',
    'Host',
    'User-Agent',
    'Content-Type',
  ])('R-66: a second %s is seen as the last of 99 lines', async (name) => {
    const value = name === 'Content-Type' ? 'application/json' : 'localhost';
    const lines = [`X-Forwarded-For: ${HOME}`, ...filler(88), `${name}: ${value}`, `${name}: ${value}`];
    const answer = await wire(
      portOf(h.url),
      requestText(LIST, name === 'Authorization' ? lines : authorized(h, ...lines)),
    );
    expect(answer.status).toBe(400);
  });

  it('R-11: an address with two zones is refused', async () => {
    const answer = await wire(portOf(h.url), requestText(LIST, authorized(h, 'X-Forwarded-For: 2001:db8::1%a%b')));
    expect(answer.status).toBe(400);
  });
});

describe('R-10: trusted_proxies', () => {
  let h: Harness;
  afterEach(() => h.close());
  const behind = async (hops: number, networks: string) => {
    h = await startHarness({
      edit: (yaml) => yaml.replace('proxy_hops: 1', `proxy_hops: ${hops}\ntrusted_proxies: [${networks}]`),
    });
    return async (forwarded: string) => {
      const { status } = await h.call('stock_list', {}, { headers: { 'x-forwarded-for': forwarded } });
      return status === 200 ? lastIp(h) : status;
    };
  };

  it('X-Forwarded-For of a peer that is no proxy changes nothing', async () => {
    const ipFor = await behind(1, '10.0.0.0/8, "2001:db8::/32"');
    expect(await ipFor('203.0.113.77')).toBe('127.0.0.1');
    expect(await ipFor('nonsense')).toBe('127.0.0.1');
  });

  it('an entry that is no proxy ends the list: whoever reaches the inner proxy itself chooses nothing', async () => {
    const ipFor = await behind(2, '127.0.0.0/8, 10.0.0.0/8');
    expect(await ipFor('203.0.113.77, 10.0.0.5')).toBe('203.0.113.77');
    expect(await ipFor('203.0.113.77, 192.0.2.8')).toBe('192.0.2.8');
    expect(await ipFor('10.0.0.5')).toBe(400);
    // What was remembered for one peer or list is never taken for another.
    expect(await ipFor('203.0.113.77, 10.0.0.5')).toBe('203.0.113.77');
  });
});

describe('R-86: nothing more is read after a refusal', () => {
  let h: Harness;
  beforeAll(async () => {
    h = await startHarness();
  });
  afterAll(() => h.close());
  const head = (lines: readonly string[]) => [`POST /mcp HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join('\r\n');

  it.each([
    ['a wrong credential', 401, ['Authorization: Bearer sp_wrong', 'Content-Type: application/json']],
    ['another content type', 415, ['Content-Type: text/plain', 'AUTH']],
    ['a Host that is not allowed', 403, ['Origin: https://evil.example', 'Content-Type: application/json']],
  ] as const)('after %s a huge body is cut off', async (_what, status, given) => {
    const lines = given.map((line) => (line === 'AUTH' ? `Authorization: Bearer ${h.key}` : line));
    let sent = 0;
    const answer = await wire(portOf(h.url), (socket) => {
      socket.write(head([...lines, `X-Forwarded-For: ${HOME}`, 'Content-Length: 2000000000']));
      const chunk = Buffer.alloc(65_536, 0x20);
      const pump = () => {
        while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
      };
      socket.on('drain', pump);
      socket.once('data', pump);
    });
    expect(answer.status).toBe(status);
    // What the kernel holds on its way is not read by anybody.
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    expect(answer.closedMs).toBeLessThan(8000);
  });

  it('a body that never comes holds no connection for long', async () => {
    const answer = await wire(
      portOf(h.url),
      head([
        'Authorization: Bearer sp_wrong',
        'Content-Type: application/json',
        `X-Forwarded-For: ${HOME}`,
        'Content-Length: 9',
      ]),
    );
    expect(answer.status).toBe(401);
    expect(answer.closedMs).toBeLessThan(8000);
  });

  it('a small body that comes a moment later keeps the connection', async () => {
    const answer = await wire(portOf(h.url), (socket) => {
      const lines = ['Content-Type: application/json', `X-Forwarded-For: ${HOME}`, `Content-Length: ${LIST.length}`];
      socket.write(head(['Authorization: Bearer sp_wrong', ...lines]));
      socket.once('data', () => {
        socket.write(LIST);
        socket.write(requestText(LIST, authorized(h, `X-Forwarded-For: ${HOME}`)));
      });
    });
    expect(answer.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200']);
  });

  it.each([
    10_000, 20_000, 60_000,
  ])('a refused body of %d bytes, sent at once, leaves the connection usable', async (size) => {
    const answer = await wire(portOf(h.url), (socket) => {
      const lines = ['Content-Type: application/json', `X-Forwarded-For: ${HOME}`, `Content-Length: ${size}`];
      socket.write(`${head(['Authorization: Bearer sp_wrong', ...lines])}${' '.repeat(size)}`);
      let next = false;
      socket.on('data', () => {
        if (next) return;
        next = true;
        setTimeout(() => socket.write(requestText(LIST, authorized(h, `X-Forwarded-For: ${HOME}`))), 300);
      });
    });
    expect(answer.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200']);
  });

  it('another expectation is refused, and as little is read after it', async () => {
    let sent = 0;
    const answer = await wire(portOf(h.url), (socket) => {
      socket.write(head(['Expect: nonsense', 'Content-Length: 2000000000']));
      const chunk = Buffer.alloc(65_536, 0x20);
      const pump = () => {
        while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
      };
      socket.on('drain', pump);
      socket.once('data', pump);
    });
    expect(answer.status).toBe(417);
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    expect(answer.closedMs).toBeLessThan(8000);
  });

  it('100 Continue is sent only to an accepted credential', async () => {
    const ask = (credential: string) =>
      wire(portOf(h.url), (socket) => {
        socket.write(
          head([
            `Authorization: Bearer ${credential}`,
            'Content-Type: application/json',
            `X-Forwarded-For: ${HOME}`,
            'Connection: close',
            'Expect: 100-continue',
            `Content-Length: ${LIST.length}`,
          ]),
        );
        socket.on('data', (chunk) => String(chunk).includes('100 Continue') && socket.write(LIST));
      });
    expect((await ask('sp_wrong')).text).toMatch(/^HTTP\/1\.1 401/);
    expect((await ask(h.key)).text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
  });

  it.each([
    ['chunks in HTTP/1.0', 'POST /mcp HTTP/1.0', ['Transfer-Encoding: chunked'], 'f\r\n{"jsonrpc":"2.0"\r\n0\r\n\r\n'],
    ['a request line without a version', 'POST /mcp', [], ''],
  ] as const)('R-66: %s is refused', async (_what, line, lines, body) => {
    const credential = [`Authorization: Bearer ${h.key}`, 'Content-Type: application/json', `X-Forwarded-For: ${HOME}`];
    const text = [line, 'Host: localhost', ...credential, ...lines, '', body].join('\r\n');
    const answer = await wire(portOf(h.url), text, 4000);
    expect(answer.text).toMatch(/^HTTP\/1\.1 400/);
  });

  it('HTTP/1.0 with a length is served, as proxies speak it', async () => {
    const answer = await wire(portOf(h.url), requestText(LIST, authorized(h, `X-Forwarded-For: ${HOME}`), 'HTTP/1.0'));
    expect(answer.status).toBe(200);
  });
});
