import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startHarness, until } from '../support/harness.ts';

let h: Harness;
beforeAll(async () => {
  h = await startHarness();
});
afterAll(() => h.close());

const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const at = (path: string) => new URL(path, h.url);

/** A request with headers that fetch would not send. */
function raw(
  headers: Record<string, string | string[]>,
  body = JSON.stringify(list),
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(h.url);
    const call = request(
      {
        host: '127.0.0.1',
        port,
        path: '/mcp',
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-forwarded-for': '10.1.2.3',
          authorization: `Bearer ${h.key}`,
          ...headers,
        },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

/** Sends a text as raw bytes and returns the raw answer. */
function wire(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(h.url).port), '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', () => resolve(answer));
    socket.on('close', () => resolve(answer));
  });
}

describe('R-01: credentials', () => {
  it.each([
    ['no credential', undefined],
    ['a wrong key', 'Bearer sp_wrong'],
    ['another scheme', 'Basic YTpi'],
    ['a JWT where none is configured', 'Bearer eyJhbGciOiJub25lIn0.e30.x'],
    ['two tokens', 'Bearer a b'],
    ['a credential that is far too long', `Bearer ${'a'.repeat(20_000)}`],
  ])('%s is answered with 401 and the address of the metadata (RFC 9728)', async (_name, authorization) => {
    const response = await fetch(h.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-forwarded-for': '10.1.2.3',
        ...(authorization && { authorization }),
      },
      body: JSON.stringify(list),
    });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain(
      `resource_metadata="${at('/.well-known/oauth-protected-resource/mcp').href}"`,
    );
    expect(Object.keys((await response.json()) as object)).toEqual(['error', 'request_id']);
  });

  it('refused credentials are in the audit log, up to a limit for each second', async () => {
    await Promise.all(Array.from({ length: 60 }, () => h.post(list, { authorization: 'Bearer sp_guess' })));
    const before = (await h.audit('event')).filter((e) => e.event === 'authn_login_fail');
    expect(before.length).toBeLessThanOrEqual(20);
    h.clock.advance(1);
    await h.post(list, { authorization: 'Bearer sp_guess' });
    expect((await h.audit('event')).filter((e) => e.event === 'authn_login_fail').at(-1)).toMatchObject({
      failure: 'unknown_key',
      suppressed: expect.any(Number),
    });
  });

  it('the protected resource metadata is public', async () => {
    const answer = await fetch(at('/.well-known/oauth-protected-resource'));
    expect(await answer.json()).toMatchObject({
      resource: h.url,
      bearer_methods_supported: ['header'],
      scopes_supported: ['stock:write'],
    });
  });
});

describe('R-14: Host and Origin', () => {
  it.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
  ])('Host "%s" is refused', async (host) => {
    expect((await raw({ host })).status).toBe(403);
  });
  it.each(['localhost:9', '127.0.0.1', '[::1]:8787'])('Host "%s" is accepted', async (host) => {
    expect((await raw({ host })).status).toBe(200);
  });
  it('no Host, or an empty one, is refused', async () => {
    expect(await wire('POST /mcp HTTP/1.1\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 400/);
    expect(await wire('POST /mcp HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 403/);
  });

  it('an Origin that is not listed is refused', async () => {
    expect((await raw({ origin: 'https://evil.example' })).status).toBe(403);
    expect((await raw({ origin: 'null' })).status).toBe(403);
    expect((await raw({ origin: new URL(h.url).origin })).status).toBe(200);
  });
});

describe('R-66: strict HTTP', () => {
  it('a method that is not offered is answered with 405 and an Allow header', async () => {
    for (const method of ['GET', 'DELETE', 'PUT', 'PATCH', 'OPTIONS']) {
      const answer = await fetch(h.url, { method });
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
    }
    expect((await fetch(at('/healthz'), { method: 'POST' })).status).toBe(405);
    expect((await fetch(at('/elsewhere'))).status).toBe(404);
  });

  it('a critical header that appears twice is refused', async () => {
    for (const name of ['Authorization', 'Mcp-Session-Id', 'Content-Type', 'Origin']) {
      const answer = await wire(
        `POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: 10.1.2.3\r\n${name}: a\r\n${name}: b\r\nContent-Length: 2\r\n\r\n{}`,
      );
      expect(answer).toContain('400 Bad Request');
    }
  });

  it('ambiguous lengths are refused', async () => {
    const both = await wire(
      'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    expect(both).toMatch(/^HTTP\/1\.1 400/);
    const two = await wire('POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}');
    expect(two).toMatch(/^HTTP\/1\.1 400/);
  });

  it('a request target that is not a path is refused', async () => {
    for (const target of ['http://[', 'http://elsewhere/mcp', '*']) {
      expect(await wire(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)).toMatch(
        /^HTTP\/1\.1 400/,
      );
    }
  });

  it('a body over the limit is answered with 413, with or without a content length', async () => {
    expect((await h.post(Buffer.alloc(300_000, 0x20))).status).toBe(413);
    expect((await raw({ 'transfer-encoding': 'chunked' }, ' '.repeat(300_000))).status).toBe(413);
  });

  it('a body that is nested a little or a thousand times too deeply is refused', async () => {
    for (const depth of [40, 100_000]) {
      const answer = await h.post(
        `{"jsonrpc":"2.0","id":1,"method":"ping","params":${'['.repeat(depth)}${']'.repeat(depth)}}`,
      );
      expect(answer.status).toBe(400);
      expect(answer.body.error).toBe('nested_too_deeply');
    }
  });

  it.each([
    ['not JSON', '{', {}, 400],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), {}, 400],
    ['empty', '', {}, 400],
    ['of another content type', '{}', { 'content-type': 'text/plain' }, 415],
    ['compressed', '{}', { 'content-encoding': 'gzip' }, 415],
    [
      'valid, but sent with an Accept header that excludes JSON',
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
      { accept: 'text/html' },
      406,
    ],
  ])('a body that is %s is refused', async (_name, body, headers, status) => {
    expect((await h.post(body as string, headers as Record<string, string>)).status).toBe(status);
  });
});

describe('R-10, R-11: client address', () => {
  const ipOf = async (forwarded: string) => {
    const answer = await h.call(
      'stock_list',
      {},
      { headers: { 'x-forwarded-for': forwarded, forwarded: 'for=6.6.6.6', 'x-real-ip': '6.6.6.6' } },
    );
    return answer.status === 200 ? (await h.audit('decision')).at(-1).input.client.ip : answer.status;
  };
  it.each([
    ['10.1.2.3', '10.1.2.3'],
    ['6.6.6.6, 10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['2001:DB8::0:7%eth0', '2001:db8::7'],
    ['012.1.2.3', 400],
    ['0x0a010203', 400],
    ['167838211', 400],
    ['10.1.2', 400],
    ['unknown', 400],
    ['10.1.2.3, ', 400],
  ])('attack 17: X-Forwarded-For "%s" gives %s', async (forwarded, expected) => {
    expect(await ipOf(forwarded)).toBe(expected);
  });
});

describe('health and shutdown', () => {
  it('healthz and readyz need no credential and no known Host', async () => {
    expect((await fetch(at('/healthz'), { headers: { host: 'probe' } })).status).toBe(200);
    expect(await (await fetch(at('/readyz'))).json()).toEqual({ status: 'ok' });
  });

  it('at shutdown a call in flight finishes, and backend sessions are logged out', async () => {
    const own = await startHarness();
    await own.call('stock_list');
    own.legacy.inject({ latencyMs: 1000 });
    const calls = () => [...own.legacy.stats().callsBySession.values()].reduce((a, b) => a + b, 0);
    const before = calls();
    const inFlight = own.call('stock_list');
    await until(async () => (await own.audit('decision')).length === 2, 'the decision');
    const closing = own.connector.close();
    expect((await inFlight).body.result.isError).toBeUndefined();
    await closing;
    expect(calls()).toBeGreaterThan(before);
    expect(own.legacy.stats().liveSessions).toBe(0);
    await expect(fetch(own.url)).rejects.toThrow();
    await own.legacy.close();
  });

  it('a client that hangs up in the middle of its body does not disturb other calls', async () => {
    const socket = connect(Number(new URL(h.url).port), '127.0.0.1');
    socket.write(
      `POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.1.2.3\r\nAuthorization: Bearer ${h.key}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"jsonrpc"`,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await until(async () => (await h.rpc('ping')).status === 200, 'the connector to answer');
  });
});
