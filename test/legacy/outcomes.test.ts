// whoever repeats a call that was done does it twice, so a call without a result says what became of its request.
import { describe, expect, it } from 'vitest';
import { textOf } from '../support/fronted.ts';
import type { Loose } from '../support/harness.ts';
import {
  CSRF,
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

const TOOLS = `
json: { backend: app, description: J, effect: write, request: { method: POST, path: /json } }
wanted: { backend: app, description: W, effect: write, request: { method: POST, path: /x }, expect: { body_contains: DONE }, result: { as: text } }
rpc: { backend: app, description: R, effect: write, request: { method: POST, path: /x, jsonrpc: { method: m } } }
list: { backend: app, description: L, effect: write, request: { method: POST, path: /x }, result: { pointer: /list, schema: { type: object } } }
small: { backend: app, description: S, effect: write, request: { method: POST, path: /x }, result: { as: text, max_bytes: 10 } }
part: { backend: app, description: P, effect: write, request: { method: POST, path: /x }, result: { as: html, select: "#no" } }
named: { backend: app, description: N, effect: write, arguments: { type: object, properties: { a: { type: string } }, required: [a] }, request: { method: POST, path: "/x/{a}" } }
again: { backend: app, description: A, effect: write, idempotent: true, request: { method: POST, path: /x } }
read: { backend: app, description: R, effect: read, request: { path: /x } }`;

const told = async (tool: string, args = {}) => {
  const answer = await call(tool, args);
  const ends = await connector.audit('outcome');
  return {
    error: answer.body.result.isError === true,
    outcome: answer.body.result._meta['sallyport/outcome'],
    text: textOf(answer),
    logged: ends.at(-1)?.request,
    end: ends.at(-1)?.outcome,
  };
};

const SAYS: Record<string, RegExp> = {
  not_sent: /Nothing was sent to the backend\./,
  rejected: /The backend refused it, so it was not done\./,
  sent_unknown: /It may have been done, so look before you call again\./,
  done_answer_unreadable: /^The call was done, and its answer could not be read\. Do not repeat the call\./,
};

describe('R-91: a write without a result', () => {
  it.each<[string, string, string, (response: import('node:http').ServerResponse) => unknown]>([
    ['a status of the server', 'put', 'sent_unknown', (r) => r.writeHead(500).end('x')],
    ['a gateway that gave up in words of its own', 'put', 'sent_unknown', (r) => r.writeHead(504).end('FAILED')],
    ['a gateway that gave up', 'put', 'sent_unknown', (r) => r.writeHead(504).end()],
    ['a refusal', 'put', 'rejected', (r) => r.writeHead(409).end('x')],
    ['too many requests', 'put', 'rejected', (r) => r.writeHead(429).end('x')],
    ['a redirect to somewhere', 'put', 'sent_unknown', (r) => r.writeHead(302, { location: '/list' }).end()],
    ['a redirect to another host', 'put', 'sent_unknown', (r) => r.writeHead(302, { location: 'http://x.y/' }).end()],
    ['not modified', 'put', 'sent_unknown', (r) => r.writeHead(304).end()],
    ['a failure with a good status', 'put', 'rejected', (r) => ok(r, 'FAILED')],
    ['an end of the session', 'put', 'sent_unknown', (r) => r.writeHead(401).end()],
    ['a connection that ends', 'put', 'sent_unknown', (r) => r.destroy()],
    [
      'half an answer',
      'put',
      'sent_unknown',
      (r) => r.writeHead(200, { 'content-length': '9' }).write('x', () => r.destroy()),
    ],
    ['an answer that never comes', 'put', 'sent_unknown', () => {}],
    ['an answer beyond the limit', 'put', 'sent_unknown', (r) => ok(r, 'x'.repeat(3000))],
    ['an encoding that is a lie', 'put', 'sent_unknown', (r) => ok(r, 'x', { 'content-encoding': 'gzip' })],
    ['no sign of success', 'wanted', 'sent_unknown', (r) => ok(r, 'well')],
    ['an error of JSON-RPC', 'rpc', 'rejected', (r) => ok(r, '{"id":1,"error":{"code":1}}')],
    ['an internal error of JSON-RPC', 'rpc', 'sent_unknown', (r) => ok(r, '{"id":1,"error":{"code":-32603}}')],
    ['no answer of JSON-RPC', 'rpc', 'sent_unknown', (r) => ok(r, '<p>')],
    ['no JSON', 'json', 'done_answer_unreadable', (r) => ok(r, '<p>done</p>')],
    ['nothing at the pointer', 'list', 'done_answer_unreadable', (r) => ok(r, '{}')],
    ['nothing, where the schema wants something', 'list', 'done_answer_unreadable', (r) => r.writeHead(201).end()],
    ['too much', 'small', 'done_answer_unreadable', (r) => ok(r, 'x'.repeat(99))],
    ['none of the parts', 'part', 'done_answer_unreadable', (r) => ok(r, '<p>done</p>')],
  ])('%s (%s) reads as %s', async (_name, tool, outcome, answer) => {
    await serve(({ response }) => answer(response));
    await connect(`${EXPIRED}\nfailed: [{ body_contains: FAILED }]\ntimeout_ms: 300\nmax_response_bytes: 1024`, TOOLS);
    const got = await told(tool);
    expect(got).toMatchObject({ error: true, outcome, logged: outcome });
    expect(got.text).toMatch(SAYS[outcome] as RegExp);
    expect(got.end).toBe(outcome.startsWith('done') ? outcome : 'refused');
    expect(server.requests.filter((each) => each.startsWith('POST /') && each !== 'POST /login')).toHaveLength(1);
  });

  it.each([200, 201, 202, 204])('an empty answer with status %i is no failure', async (status) => {
    await serve(({ response }) => response.writeHead(status).end());
    await connect(EXPIRED, TOOLS);
    const got = await told('json');
    expect(got).toMatchObject({ error: false, text: 'null', end: 'success', logged: undefined });
  });

  it('an argument that cannot stand in its place, a login that fails, and a CSRF token that does not come', async () => {
    let token = 500;
    await serve(({ path, response }) => (path === '/token' ? response.writeHead(token).end() : ok(response, '{}')));
    await connect(`${EXPIRED}\n${CSRF}`, TOOLS);
    expect(await told('named', { a: 'a/b' })).toMatchObject({ outcome: 'not_sent', logged: 'not_sent' });
    expect(await told('json')).toMatchObject({
      outcome: 'not_sent',
      text: expect.stringMatching(SAYS.not_sent as RegExp),
    });
    token = 401;
    expect(await told('json')).toMatchObject({ outcome: 'not_sent' });
    expect(server.requests.filter((each) => each === 'POST /json')).toHaveLength(0);
    await server.close();
    expect(await told('json')).toMatchObject({ outcome: 'not_sent', logged: 'not_sent' });
  });

  it('a CSRF token that is refused twice, and an end of the session that comes before any effect', async () => {
    await serve(({ path, response }) => {
      if (path === '/token') return ok(response, '<input name=tok value=token-1234>');
      return path === '/json' ? response.writeHead(403).end() : ok(response, 'ended');
    });
    await connect(`expired: [{ body_contains: ended, before_effect: true }]\n${CSRF}`, TOOLS);
    expect(await told('json')).toMatchObject({ outcome: 'rejected' });
    expect(await told('put')).toMatchObject({ outcome: 'rejected', logged: 'rejected' });
    expect(server.requests.filter((each) => each === 'POST /put')).toHaveLength(2);
  });

  it('one that may be repeated, and that nobody knows of after its first request', async () => {
    let asked = 0;
    await serve(({ response }) => (++asked === 1 ? response.writeHead(401).end() : response.writeHead(409).end()));
    await connect(EXPIRED, TOOLS);
    expect(await told('again')).toMatchObject({ outcome: 'sent_unknown' });
    expect(asked).toBe(2);
  });

  it('a read says so as well, and does not speak of being done', async () => {
    await serve(({ response }) => ok(response, 'no json'));
    await connect(EXPIRED, TOOLS);
    expect(await told('read')).toMatchObject({
      outcome: 'done_answer_unreadable',
      end: 'refused',
      text: expect.stringMatching(/^The call failed: the backend answered 200\. Reasons/),
    });
  });

  it('an answer that brings a value which no header can carry: what was done is done, and the session goes on', async () => {
    let done = 0;
    await serveAll((request, response) => {
      if (request.url === '/login') return response.writeHead(200, { 'x-ticket': 'ticket-0001-abcdef' }).end();
      if (request.method === 'POST') done += 1;
      return response
        .writeHead(200, { 'x-ticket': 'ticket-\u00e9-0002', 'content-type': 'application/json' })
        .end('{}');
    });
    await connectWith(
      yamlOf(EXPIRED, TOOLS)
        .replace('path: /login } }', 'path: /login }, extract: { ticket: { header: X-Ticket } } }')
        .replace('cookies: [S]', 'values: [ticket], headers: { X-Ticket: "{session.ticket}" }'),
    );
    for (const n of [1, 2]) {
      expect(await told('json')).toMatchObject({ error: false, end: 'success' });
      expect(done).toBe(n);
    }
  });

  it('R-40: a value that an answer has replaced is a secret of that answer, too', async () => {
    let n = 1;
    const ticket = () => `ticket-000${n}-abcdef`;
    await serveAll((request, response) => {
      if (request.url === '/login') return response.writeHead(200, { 'x-ticket': ticket() }).end();
      n += 1;
      return ok(response, `was ${request.headers['x-ticket']}, is ${ticket()}`, { 'x-ticket': ticket() });
    });
    await connectWith(
      yamlOf(EXPIRED, TOOLS)
        .replace('path: /login } }', 'path: /login }, extract: { ticket: { header: X-Ticket } } }')
        .replace('cookies: [S]', 'values: [ticket], headers: { X-Ticket: "{session.ticket}" }'),
    );
    for (let i = 0; i < 3; i++) expect(textOf(await call('page'))).toBe('was [redacted], is [redacted]');
  });

  it('a write that may have been done is not told otherwise because another call has opened the session elsewhere', async () => {
    const sent: string[] = [];
    let release = () => {};
    const both = new Promise<void>((resolve) => {
      release = resolve;
    });
    await serve(async ({ path, cookie, response }) => {
      if (path === '/page') return ok(response, 'fine');
      sent.push(cookie);
      if (cookie !== 'S=session-1') return response.writeHead(409).end();
      if (sent.length === 2) release();
      await both;
      return response.writeHead(401).end();
    });
    await connect(EXPIRED, TOOLS);
    let id = 1;
    const from = async (ip: string, name: string) => {
      const params = { name, arguments: {} };
      const answer = await fetch(connector.connector.url, {
        method: 'POST',
        headers: { ...connector.headers(), 'x-forwarded-for': ip },
        body: JSON.stringify({ jsonrpc: '2.0', id: id++, method: 'tools/call', params }),
      });
      return ((await answer.json()) as Loose).result._meta?.['sallyport/outcome'];
    };
    await from('192.0.2.10', 'page');
    const outcomes = await Promise.all([from('192.0.2.10', 'again'), from('192.0.2.11', 'again')]);
    expect(outcomes).toEqual(['sent_unknown', 'sent_unknown']);
  });
});
