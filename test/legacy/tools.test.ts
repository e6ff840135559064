// What a tool sends and what it makes of the answer.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createTestClock } from '../support/clock.ts';
import {
  bodyOf,
  type Fronted,
  front,
  type LegacyServer,
  legacyServer,
  structured,
  textOf,
} from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { policyFolder } from '../support/policies.ts';

const TOKEN = 'c0ffee-5e55-10n';
let server: LegacyServer;
let connector: Fronted;
let bodies: string[];
afterEach(async () => {
  await connector?.close();
  await server?.close();
});

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => unknown;

/** Connects one tool "t", described by these lines, to a server that gives these answers. */
async function connect(tool: string, handler: Handler, more = ''): Promise<void> {
  bodies = [];
  server = await legacyServer(async (request, response) => {
    const body = await bodyOf(request);
    if (request.url === '/login') return response.writeHead(200, { 'set-cookie': `S=${TOKEN}; Path=/` }).end();
    bodies.push(body);
    return handler(request, response, body);
  });
  const yaml = `
${more}
backends:
  app:
    url: ${server.url}
    login: [{ request: { path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
tools:
  t:
    backend: app
    description: A tool
    ${tool.trim().replace(/\n/g, '\n    ')}
`;
  connector = await front({ yaml, clock: createTestClock() });
}
const answering =
  (type: string, body: string | Buffer, headers = {}, status = 200): Handler =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': type, ...headers }).end(body);
const READ = 'effect: read\nrequest: { path: /x }\n';

describe('results', () => {
  it('JSON: a part of it, reshaped, in an object', async () => {
    await connect(
      `${READ}result: { pointer: /data, jmespath: "[?active].{ id: id }", wrap: users }`,
      answering('application/json', JSON.stringify({ data: [{ id: 1, active: true }, { id: 2 }] })),
    );
    expect(structured(await connector.call('t'))).toEqual({ users: [{ id: 1 }] });
  });

  it('HTML as text: the part that is wanted, without scripts, with the rows of its tables', async () => {
    const page = `<html><head><title>x</title><script>var session = "${TOKEN}"</script></head><body><nav>Menu</nav>
      <div id="main"><h1>Orders</h1><table><tr><th>No</th><th>Item</th></tr><tr><td>1</td><td>A &amp; B <a href="/x;jsessionid=${TOKEN}">link</a> ${TOKEN}</td></tr></table></div></body></html>`;
    await connect(`${READ}result: { as: html, select: "div#main" }`, answering('text/html', page));
    expect(textOf(await connector.call('t'))).toBe('Orders\n\nNo | Item\n1 | A & B link [redacted]');
  });

  it('HTML without the part that is wanted is refused: an empty text would pass for an empty list', async () => {
    await connect(`${READ}result: { as: html, select: "#orders" }`, answering('text/html', '<div id="order">x</div>'));
    expect(reasons(await connector.call('t'))).toEqual(['backend.response_unusable']);
  });

  it('XML as JSON: attributes, lists, text; a document type is refused', async () => {
    const xml =
      '<?xml version="1.0"?><o:orders xmlns:o="urn:o"><order id="7"><item>A</item></order><note>x<![CDATA[<y>]]></note></o:orders>';
    await connect(`${READ}result: { as: xml, pointer: "/o:orders", lists: [order, item] }`, (_request, response) =>
      response
        .writeHead(200, { 'content-type': 'text/xml' })
        .end(bodies.length === 1 ? xml : `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`),
    );
    expect(structured(await connector.call('t'))).toEqual({
      '@xmlns:o': 'urn:o',
      order: [{ '@id': '7', item: ['A'] }],
      note: 'x<y>',
    });
    expect(reasons(await connector.call('t'))).toEqual(['backend.response_unusable']);
  });

  it('bytes as a resource, of the types that are named and no other', async () => {
    const bytes = Buffer.from([0x25, 0x50, 0x44, 0x46, 0, 255, 254]);
    await connect(`${READ}result: { as: binary, media_types: [application/pdf, image/*] }`, (_request, response) =>
      response
        .writeHead(200, { 'content-type': bodies.length === 1 ? 'application/pdf; x=y' : 'text/html' })
        .end(bytes),
    );
    const [content] = (await connector.call('t')).body.result.content;
    expect(content.resource).toMatchObject({ mimeType: 'application/pdf', blob: bytes.toString('base64') });
    expect(content.resource.uri).toMatch(/^urn:sallyport:result:[0-9a-f-]{36}$/);
    expect(reasons(await connector.call('t'))).toEqual(['backend.response_unusable']);
  });

  it('R-40: bytes that hold the session are refused', async () => {
    await connect(
      `${READ}result: { as: binary, media_types: [application/pdf] }`,
      answering('application/pdf', `%PDF ${TOKEN}`),
    );
    expect(reasons(await connector.call('t'))).toEqual(['backend.response_unusable']);
  });

  it('the target of an expected redirect, without the session in it; any other redirect is refused', async () => {
    await connect(
      'effect: write\nrequest: { method: POST, path: /x }\nexpect: [{ redirect_to: /orders }]\nresult: { as: location }',
      (_request, response) => {
        const location = [`/orders/17;jsessionid=${TOKEN}?x=1`, '/login', 'http://127.0.0.2:9/orders/1'][
          bodies.length - 1
        ];
        return response.writeHead(303, { location }).end();
      },
    );
    expect(structured(await connector.call('t'))).toEqual({ location: '/orders/17?x=1' });
    expect(reasons(await connector.call('t'))).toEqual(['backend.redirected']);
    expect(reasons(await connector.call('t'))).toEqual(['backend.redirected']);
  });

  it('nothing but the status', async () => {
    await connect(`${READ}result: { as: status }`, answering('text/plain', '', {}, 204));
    expect(structured(await connector.call('t'))).toEqual({ status: 204 });
  });

  it('a text that is too long is refused, or cut between characters after the session was blanked', async () => {
    const long = `${'ä'.repeat(40)}${TOKEN}`;
    await connect(`${READ}result: { as: text, max_bytes: 30 }`, answering('text/plain; charset=utf-8', long));
    expect(reasons(await connector.call('t'))).toEqual(['backend.response_too_large']);
    await connector.close();
    await server.close();
    await connect(
      `${READ}result: { as: text, max_bytes: 31, truncate: true }`,
      answering('text/plain; charset=utf-8', long),
    );
    expect(textOf(await connector.call('t'))).toBe(`${'ä'.repeat(9)}\n[truncated]`);
  });

  it.each([
    ['text that is not JSON', '{"a":', 'as: json'],
    ['nothing at the pointer', '{}', 'pointer: /a'],
    ['JSON that is nested too deeply', `${'['.repeat(100)}${']'.repeat(100)}`, 'as: json'],
    ['a JMESPath expression that does not fit', '{"a":1}', 'jmespath: "length(a)"'],
    ['broken XML', '<a><b></a>', 'as: xml'],
    [
      'a result that breaks its schema',
      '{"id":"7"}',
      'schema: { type: object, properties: { id: { type: integer } } }',
    ],
  ])('%s is refused', async (_name, body, result) => {
    await connect(`${READ}result: { ${result} }`, answering('application/json', body));
    expect(reasons(await connector.call('t'))).toEqual(['backend.response_unusable']);
  });
});

describe('the schema of a result', () => {
  const TOOL = `
effect: read
open_world: true
request: { path: /x }
result:
  schema: { type: object, properties: { id: { type: integer }, name: { type: string } }, required: [id] }`;

  it('is shown to clients with annotations, and a result that has it is returned', async () => {
    await connect(TOOL, answering('application/json', '{"id":7,"name":"x"}'));
    const [tool] = (await connector.rpc('tools/list')).body.result.tools;
    expect(tool).toMatchObject({
      outputSchema: { type: 'object', required: ['id'] },
      annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
    });
    expect(structured(await connector.call('t'))).toEqual({ id: 7, name: 'x' });
  });

  it('R-35: a mask that makes a result break its schema refuses the call: clients would silently drop the result', async () => {
    const masks = (pointer: string) => ({
      'data.yaml': (text: string) =>
        text.replace('    masks:\n', `    masks:\n      t: { pointers: ["${pointer}"], except_roles: [] }\n`),
    });
    for (const [pointer, expected] of [
      ['/id', ['obligation.failed']],
      ['/name', []],
    ] as const) {
      const folder = policyFolder(masks(pointer));
      await connect(
        TOOL,
        answering('application/json', '{"id":7,"name":"x"}'),
        `policy: { dir: ${folder.dir}, allow_unknown_names: true }`,
      );
      const answer = await connector.call('t');
      expect(reasons(answer)).toEqual(expected);
      if (pointer === '/name') expect(structured(answer)).toEqual({ id: 7, name: '[masked]' });
      await connector.close();
      await server.close();
      folder.remove();
    }
  });
});

describe('bodies', () => {
  const ARGUMENTS =
    'arguments: { type: object, properties: { text: { type: string }, count: { type: integer }, tags: { type: array, items: { type: string } } } }\n';

  it('XML, with a value as text and as an attribute', async () => {
    await connect(
      `effect: write\n${ARGUMENTS}request: { method: POST, path: /x, xml: '<o n="{count}"><t>{text}</t></o>' }\nresult: { as: status }`,
      answering('text/plain', ''),
    );
    await connector.call('t', { text: '</t><x a="1">]]>&\u{1F600}', count: 3 });
    expect(bodies).toEqual(['<o n="3"><t>&#60;/t&#62;&#60;x a=&#34;1&#34;&#62;]]&#62;&#38;\u{1F600}</t></o>']);
    expect(reasons(await connector.call('t', { text: 'nul \u0000', count: 3 }))).toEqual([
      'backend.request_unbuildable',
    ]);
  });

  it('JSON-RPC, whose answer must be a JSON-RPC answer', async () => {
    const answers = [
      '{"jsonrpc":"2.0","id":1,"result":{"a":1}}',
      '{"jsonrpc":"2.0","id":2,"result":{}}',
      '{"jsonrpc":"2.0","id":1,"error":{"code":1}}',
      '[]',
    ];
    await connect(
      `effect: read\n${ARGUMENTS}request: { method: POST, path: /rpc, jsonrpc: { method: find, params: { q: "{text}", n: "{count}", tags: "{tags}" } } }`,
      (_request, response) => response.writeHead(200).end(answers[bodies.length - 1]),
    );
    expect(structured(await connector.call('t', { text: '"}', count: 2, tags: ['a'] }))).toEqual({ a: 1 });
    expect(JSON.parse(bodies[0] ?? '')).toEqual({
      jsonrpc: '2.0',
      id: 1,
      method: 'find',
      params: { q: '"}', n: 2, tags: ['a'] },
    });
    for (let i = 0; i < 3; i++) expect(reasons(await connector.call('t', { text: 'x' }))).toEqual(['backend.rejected']);
  });

  it('a form, with a list as fields of one name', async () => {
    await connect(
      `effect: write\n${ARGUMENTS}request: { method: POST, path: /x, form: { tag: "{tags}", t: "{text}" } }\nresult: { as: status }`,
      answering('text/plain', ''),
    );
    await connector.call('t', { tags: ['a&b', 'c'] });
    expect(bodies).toEqual(['tag=a%26b&tag=c']);
  });
});

describe('pages', () => {
  const all = Array.from({ length: 7 }, (_, i) => i + 1);
  const paged = (pages: string, query: string) =>
    connect(
      `effect: read\nrequest: { path: /x, query: { ${query} } }\npages: { ${pages}, items: /items }`,
      (request, response) => {
        const asked = new URL(request.url ?? '', 'http://x').searchParams;
        const from = asked.has('page')
          ? (Number(asked.get('page')) - 1) * 3
          : Number(asked.get('offset') ?? asked.get('after') ?? 0);
        const next = from + 3 < all.length ? { next: String(from + 3) } : {};
        return response.writeHead(200).end(JSON.stringify({ items: all.slice(from, from + 3), ...next }));
      },
    );
  const calls = () => server.requests.filter((line) => line.startsWith('GET /x'));

  it.each([
    ['number', 'by: number, size: 3', 'page: "{page}"', ['GET /x?page=1', 'GET /x?page=2', 'GET /x?page=3']],
    ['offset', 'by: offset, size: 3', 'offset: "{page}"', ['GET /x?offset=0', 'GET /x?offset=3', 'GET /x?offset=6']],
    ['cursor', 'by: cursor, cursor: /next', 'after: "{page}"', ['GET /x', 'GET /x?after=3', 'GET /x?after=6']],
  ])('by %s are all read, in order', async (_name, pages, query, requests) => {
    await paged(pages, query);
    expect(structured(await connector.call('t'))).toEqual({ items: all, complete: true });
    expect(calls()).toEqual(requests);
  });

  it('are read up to the configured number, and the result says that there are more', async () => {
    await paged('by: number, size: 3, most: 2', 'page: "{page}"');
    expect(structured(await connector.call('t'))).toEqual({ items: all.slice(0, 6), complete: false });
    expect(calls()).toHaveLength(2);
  });

  it('with a cursor that repeats, or without a list, are refused', async () => {
    await connect(
      'effect: read\nrequest: { path: /x, query: { after: "{page}" } }\npages: { by: cursor, cursor: /next, items: /items }',
      (_request, response) =>
        response.writeHead(200).end(bodies.length < 4 ? '{"items":[1],"next":"same"}' : '{"items":{}}'),
    );
    expect(reasons(await connector.call('t'))).toEqual(['backend.response_unusable']);
    expect(calls()).toHaveLength(2);
    bodies.push('', '');
    expect(reasons(await connector.call('t'))).toEqual(['backend.response_unusable']);
  });

  it('R-53: when the session ends on the second page, the whole list is read again with a new session', async () => {
    let logins = 0;
    await connect(
      'effect: read\nrequest: { path: /x, query: { page: "{page}" } }\npages: { by: number, size: 1 }',
      (request, response) => {
        if (request.url === '/x?page=2' && logins++ === 0) return response.writeHead(401).end();
        return response.writeHead(200).end(request.url === '/x?page=3' ? '[]' : JSON.stringify([request.url]));
      },
    );
    expect(structured(await connector.call('t'))).toEqual({ items: ['/x?page=1', '/x?page=2'], complete: true });
  });
});

it('R-55: Retry-After is passed to the client, and no call reaches the backend before that time', async () => {
  await connect(READ, answering('text/plain', 'busy', { 'retry-after': '7' }, 503));
  const first = await connector.call('t');
  expect(reasons(first)).toEqual(['backend.rejected']);
  expect(first.body.result._meta['sallyport/retry-after-seconds']).toBe(7);
  expect(textOf(first)).toContain('Try again in 7 seconds.');
  const second = await connector.call('t');
  expect(reasons(second)).toEqual(['backend.unavailable']);
  expect(second.body.result._meta['sallyport/retry-after-seconds']).toBe(7);
  expect(server.requests.filter((line) => line === 'GET /x')).toHaveLength(1);
});

it('R-55: answers of a backend that is down open the circuit', async () => {
  await connect(READ, answering('text/plain', 'down', {}, 502));
  for (let i = 0; i < 7; i++) await connector.call('t');
  expect(server.requests.filter((line) => line === 'GET /x')).toHaveLength(5);
  const refused = await connector.call('t');
  expect(reasons(refused)).toEqual(['backend.unavailable']);
  expect(refused.body.result._meta['sallyport/retry-after-seconds']).toBe(10);
});
