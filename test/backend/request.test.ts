// Template safety: no value of any argument changes the structure of a request.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildRequest } from '../../src/backend/request.ts';
import { UnbuildableError, type Values } from '../../src/backend/values.ts';
import { requestSchema } from '../../src/config/request-schema.ts';
import type { Json } from '../../src/core/json.ts';

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
  it('the origin or the number of path segments', () => {
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

it('an optional argument that is not given leaves its place out', () => {
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
    body: '{"list":[1]}',
  });
});

it('objects stand in JSON bodies only', () => {
  for (const place of [{ path: '/{a}' }, { path: '/p', query: { q: '{a}' } }, { path: '/p', headers: { x: '{a}' } }])
    expect(attempt(place, { a: { b: 1 } })).toBeUndefined();
});

it('headers that frame a message or carry the session cannot be configured', () => {
  for (const header of ['Host', 'Cookie', 'Content-Length', 'Transfer-Encoding'])
    expect(requestSchema.safeParse({ path: '/p', headers: { [header]: 'x' } }).success).toBe(false);
});
