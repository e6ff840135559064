// What a failure says for itself, and how little of it leaves.
import { describe, expect, it } from 'vitest';
import { textOf } from '../support/fronted.ts';
import { call, connect, connector, EXPIRED, ok, serve } from '../support/one-app.ts';

const tools = (more = '') => `
add: { backend: app, description: A, effect: write, arguments: { type: object, properties: { name: { type: string }, kind: { type: string } } }, request: { method: POST, path: /add, json: { name: "{name}", kind: "{kind}" } }, audit: [kind]${more} }
find: { backend: app, description: F, effect: read, request: { path: /find } }`;

const JSON_TYPE = { 'content-type': 'application/json' };

describe('a failure says why', () => {
  it.each([
    [
      'a text',
      'say: /message',
      '{"message":"a group of that name\\n\\talready exists"}',
      JSON_TYPE,
      'a group of that name already exists',
    ],
    ['the first place that has one', 'say: [/no, /error/text]', '{"error":{"text":"too long"}}', JSON_TYPE, 'too long'],
    [
      'the errors of fields',
      'say: /errors',
      '{"errors":{"name":["is taken"],"kind":["is odd","is old"]}}',
      JSON_TYPE,
      'name: is taken; kind: is odd; kind: is old',
    ],
    ['the whole document', 'say: ""', '["no","never"]', JSON_TYPE, 'no; never'],
    [
      'XML',
      'say: /fault/reason',
      '<fault><reason>out of stock</reason></fault>',
      { 'content-type': 'text/xml' },
      'out of stock',
    ],
    ['a page', 'say: .error', '<p>Groups<p class="error">The name is <b>taken</b>.', {}, 'The name is taken.'],
    ['what would turn the line of a terminal', 'say: /m', '{"m":"a\\u001b[31m\\u202eb"}', JSON_TYPE, 'a [31m b'],
  ])('%s', async (_name, say, body, headers, words) => {
    await serve(({ response }) => response.writeHead(409, { 'content-type': 'text/html', ...headers }).end(body));
    await connect(`${EXPIRED}\n${say}`, tools());
    const answer = await call('add', { name: 'x' });
    expect(textOf(answer)).toContain(
      `the backend answered 409. The backend refused it, so it was not done. The backend says: ${JSON.stringify(words)}. Reasons: backend.rejected`,
    );
  });

  it('a tool of its own says where, and a good answer is not asked', async () => {
    await serve(({ path, response }) =>
      path === '/add'
        ? response.writeHead(400, JSON_TYPE).end('{"m":"backend","t":"tool"}')
        : ok(response, '{"m":"hello"}', JSON_TYPE),
    );
    await connect(`${EXPIRED}\nsay: /m`, tools(', say: /t'));
    expect(textOf(await call('add'))).toContain('The backend says: "tool"');
    expect(textOf(await call('find'))).toBe('{"m":"hello"}');
  });

  it('not at length, and not where there is none', async () => {
    let body = JSON.stringify({ m: 'x'.repeat(5000) });
    await serve(({ response }) => response.writeHead(400, JSON_TYPE).end(body));
    await connect(`${EXPIRED}\nsay: /m`, tools());
    expect(textOf(await call('add'))).toMatch(/says: "x{299}…"/);
    for (body of ['{"m":""}', '{"m":null}', '{}', 'no json', `{"m":${'['.repeat(40)}1${']'.repeat(40)}}`])
      expect(textOf(await call('add'))).not.toContain('says');
  });

  it('R-40: not the session in it, plain or encoded', async () => {
    let body = '';
    await serve(({ cookie, response }) => {
      const token = cookie.slice(2);
      body =
        body === ''
          ? `bad token ${token}`
          : `bad ${Buffer.from(`x${Buffer.from(token).toString('base64')}`).toString('base64')}`;
      return response.writeHead(400, JSON_TYPE).end(JSON.stringify({ m: body }));
    });
    await connect(`${EXPIRED}\nsay: /m`, tools());
    expect(textOf(await call('add'))).toContain('says: "bad token [redacted]"');
    expect(textOf(await call('add'))).not.toContain('says');
  });

  it('R-92: in the log no more of the arguments than "audit" allows', async () => {
    await serve(({ response }) => response.writeHead(400, JSON_TYPE).end('{"m":"Anna Muster may not have a villa"}'));
    await connect(`${EXPIRED}\nsay: /m`, tools());
    expect(textOf(await call('add', { name: 'Anna Muster', kind: 'villa' }))).toContain(
      'Anna Muster may not have a villa',
    );
    for (const name of ['Anna  Muster', 'ANNA MUSTER', `Anna Muster ${'x'.repeat(500)}`]) await call('add', { name });
    expect(JSON.stringify(await connector.audit())).not.toMatch(/Muster/i);
    await call('add', { kind: 'villa' });
    expect((await connector.audit('outcome')).at(-1)?.said).toBe('Anna Muster may not have a villa');
  });
});
