// Template safety: no value of any argument changes the structure of a request.
import fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { describe, expect, it } from 'vitest';
import { buildRequest, fillCookies } from '../../src/backend/http/request.ts';
import { UnbuildableError, type Values } from '../../src/backend/http/values.ts';
import { requestSchema } from '../../src/config/schema/request.ts';
import type { Json } from '../../src/formats/json.ts';

const template = (request: object) => requestSchema.parse(request);
const values =
  (table: Record<string, Json | undefined>): Values =>
  (name) =>
    table[name];
const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.constantFrom(
    '..',
    '.',
    '',
    '%2e%2e',
    'a/../b',
    '?x=1',
    '#f',
    '\r\nX: y',
    ';v=1',
    '//host',
    '@host',
    '"},"x":{"',
    '{a}',
    '{{',
    '\ud800',
  ),
);

function attempt(request: object, table: Record<string, Json | undefined>) {
  try {
    return buildRequest(template(request), values(table));
  } catch (thrown) {
    if (thrown instanceof UnbuildableError) return undefined;
    throw thrown;
  }
}

describe('no value changes', () => {
  it('R-51: the origin or the number of path segments', () => {
    fc.assert(
      fc.property(nasty, nasty, (a, b) => {
        const built = attempt({ path: '/api/{a}/x-{b}/end' }, { a, b });
        if (!built) return;
        const url = new URL(built.path, 'http://backend:8080');
        expect(url.host).toBe('backend:8080');
        expect(url.search + url.hash).toBe('');
        expect(url.pathname.split('/')).toHaveLength(5);
        expect(decodeURIComponent(url.pathname.split('/')[2] ?? '')).toBe(a);
      }),
      { numRuns: 500 },
    );
  });

  it('the names or number of query and form parameters', () => {
    fc.assert(
      fc.property(nasty, (a) => {
        const built = attempt(
          { method: 'POST', path: '/p', query: { q: '{a}', fixed: 'x{a}' }, form: { f: '{a}', g: '1' } },
          { a },
        );
        if (!built) return;
        const query = new URL(built.path, 'http://b').searchParams;
        expect([...query.keys()]).toEqual(['q', 'fixed']);
        expect(query.get('q')).toBe(new URLSearchParams({ a }).get('a'));
        expect([...new URLSearchParams(built.body).keys()]).toEqual(['f', 'g']);
      }),
      { numRuns: 300 },
    );
  });

  it('the number of headers', () => {
    fc.assert(
      fc.property(nasty, (a) => {
        const built = attempt({ path: '/p', headers: { 'X-A': '{a}', 'X-B': 'b' } }, { a });
        if (!built) return;
        expect(Object.keys(built.headers)).toEqual(['X-A', 'X-B']);
        expect(built.headers['X-A']).toMatch(/^[\x20-\x7e]*$/);
      }),
    );
  });

  it('the structure of a JSON body, and a sole placeholder keeps its type', () => {
    fc.assert(
      fc.property(fc.jsonValue(), nasty, (a, text) => {
        const built = attempt(
          { method: 'POST', path: '/p', json: { a: '{a}', nested: [{ t: 'x{t}' }] } },
          { a: a as Json, t: text },
        );
        const body = JSON.parse(built?.body ?? 'null');
        expect(Object.keys(body)).toEqual(['a', 'nested']);
        expect(body.a).toEqual(JSON.parse(JSON.stringify(a)));
        expect(body.nested).toEqual([{ t: `x${text}` }]);
      }),
    );
  });
});

describe('no value changes', () => {
  it('the structure of an XML body, and every value comes out as it went in', () => {
    fc.assert(
      fc.property(nasty, nasty, (a, b) => {
        const xml = '<order x="1" a="{a}"><item>{b}</item><!-- note --><n/>{a}</order>';
        const built = attempt({ method: 'POST', path: '/p', xml }, { a, b });
        // A character that XML 1.0 cannot represent is refused; a carriage return is ordinary text.
        if (!built) {
          const sayable = /^[\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]*$/u;
          expect(sayable.test(a) && sayable.test(b)).toBe(false);
          return;
        }
        const events: string[] = [];
        const parser = new SaxesParser();
        parser.on('error', (error) => {
          throw error;
        });
        parser.on('opentag', (tag) => events.push(`<${tag.name} ${JSON.stringify(tag.attributes)}>`));
        parser.on('closetag', (tag) => events.push(`</${tag.name}>`));
        parser.on('comment', (text) => events.push(`!${text}`));
        parser.on('cdata', () => events.push('cdata'));
        parser.on('text', (text) => events.push(`=${text}`));
        parser.write(built.body ?? '').close();
        const text = (value: string) => (value === '' ? [] : [`=${value}`]);
        expect(events).toEqual([
          `<order ${JSON.stringify({ x: '1', a })}>`,
          '<item {}>',
          ...text(b),
          '</item>',
          '! note ',
          '<n {}>',
          '</n>',
          ...text(a),
          '</order>',
        ]);
      }),
      { numRuns: 500 },
    );
  });

  it('the structure of a JSON-RPC body: not its method, its id, or its parameters', () => {
    fc.assert(
      fc.property(fc.jsonValue(), nasty, (a, text) => {
        const jsonrpc = { method: 'find', params: { a: '{a}', list: ['x{t}', 7] } };
        const built = attempt({ method: 'POST', path: '/p', jsonrpc }, { a: a as Json, t: text });
        const body = JSON.parse(built?.body ?? 'null');
        expect(Object.keys(body)).toEqual(['jsonrpc', 'id', 'method', 'params']);
        expect(body).toMatchObject({ jsonrpc: '2.0', id: 1, method: 'find' });
        expect(Object.keys(body.params)).toEqual(['a', 'list']);
        expect(body.params.list).toEqual([`x${text}`, 7]);
      }),
    );
  });

  it('the fields of a form that a page gave, or their names', () => {
    fc.assert(
      fc.property(nasty, nasty, (a, hidden) => {
        const request = { method: 'POST', path: '/p', hidden_fields: 'page', form: { user: '{a}' } };
        const built = attempt(request, { a, page: { token: hidden, user: 'overwritten', 'x&y=': 'z' } });
        const fields = new URLSearchParams(built?.body);
        expect([...fields.keys()]).toEqual(['token', 'x&y=', 'user']);
        expect(fields.get('user')).toBe(new URLSearchParams({ a }).get('a'));
      }),
    );
  });

  it('the number of cookies that are made of values, or their names', () => {
    fc.assert(
      fc.property(fc.oneof(nasty, fc.stringMatching(/^[ -~]{0,12}$/)), (a) => {
        let made: string[];
        try {
          made = fillCookies({ one: '{a}', two: '2' }, values({ a }));
        } catch (thrown) {
          if (thrown instanceof UnbuildableError) return;
          throw thrown;
        }
        const pairs = made.join('; ').split(/; ?/);
        expect(pairs.map((pair) => pair.split('=')[0])).toEqual(['one', 'two']);
        expect(pairs[0]?.slice(4)).toBe(a);
      }),
    );
  });

  it('the media type, the origin or the segments, whatever the body', () => {
    fc.assert(
      fc.property(nasty, (a) => {
        for (const body of [
          { form: { f: '{a}' } },
          { json: '{a}' },
          { xml: '<x>{a}</x>' },
          { jsonrpc: { method: 'm', params: ['{a}'] } },
        ]) {
          const built = attempt({ method: 'POST', path: '/p/{a}', ...body }, { a });
          if (!built) continue;
          expect(built.headers['content-type']).toMatch(/^application\/(json|xml|x-www-form-urlencoded)$/);
          expect(Object.keys(built.headers)).toEqual(['content-type']);
          const url = new URL(built.path, 'http://backend:8080');
          expect([url.host, url.pathname.split('/').length, url.search, url.hash]).toEqual(['backend:8080', 3, '', '']);
        }
      }),
    );
  });
});

describe('the configuration check refuses placeholders in unsafe places of an XML body', () => {
  it.each([
    ['<{a}/>', 'well-formed'],
    ['<x {a}="1"/>', 'attribute name'],
    ['<x><!-- {a} --></x>', 'not in a name, a comment'],
    ['<x><![CDATA[{a}]]></x>', 'CDATA'],
    ['<?x {a}?><x/>', 'processing instruction'],
    ['<x>{a}', 'well-formed'],
    ['<!DOCTYPE x [<!ENTITY e "{a}">]><x/>', 'document type'],
    ['', 'well-formed'],
  ])('%s', (xml, message) => {
    const parsed = requestSchema.safeParse({ method: 'POST', path: '/p', xml });
    expect(parsed.error?.issues[0]?.message).toContain(message);
  });
});

it('R-91: a field that lacks an optional argument is left out of the request; in a list it is null, and moves nothing', () => {
  const built = attempt(
    {
      method: 'POST',
      path: '/p',
      query: { q: '{a}' },
      headers: { 'X-A': '{a}' },
      json: { a: '{a}', list: ['{a}', 1] },
    },
    {},
  );
  expect(built).toEqual({
    method: 'POST',
    path: '/p',
    headers: { 'content-type': 'application/json' },
    body: '{"list":[null,1]}',
  });
});

it('an argument that is an object can stand only in a JSON body', () => {
  for (const place of [{ path: '/{a}' }, { path: '/p', query: { q: '{a}' } }, { path: '/p', headers: { x: '{a}' } }])
    expect(attempt(place, { a: { b: 1 } })).toBeUndefined();
});

it('headers that frame a message or carry the session cannot be configured', () => {
  for (const header of ['Host', 'Cookie', 'Content-Length', 'Transfer-Encoding'])
    expect(requestSchema.safeParse({ path: '/p', headers: { [header]: 'x' } }).success).toBe(false);
});
