import { describe, expect, it } from 'vitest';
import { createNormaliser } from '../../src/formats/arguments.ts';
import { exactJson } from '../../src/formats/exact-json.ts';
import type { JsonObject } from '../../src/formats/json.ts';

const BIG = '9007199254740993';
const schema: JsonObject = {
  type: 'object',
  properties: {
    id: { type: 'integer', minimum: -5 },
    big: { type: 'integer', format: 'int64', minimum: 1 },
    either: { type: ['integer', 'string'] },
    price: { type: 'number' },
    note: { type: ['string', 'null'] },
    list: { type: 'array', items: { $ref: '#/$defs/line' } },
    mode: { enum: ['a', 'b'], default: 'a' },
    union: { anyOf: [{ type: 'integer' }, { type: 'boolean' }] },
    tree: { $ref: '#/$defs/tree' },
    any: {},
  },
  $defs: {
    line: {
      type: 'object',
      properties: { sku: { type: 'integer' }, size: { type: 'integer', default: 1 } },
      required: ['sku'],
    },
    tree: { type: 'object', properties: { n: { type: 'integer' }, next: { $ref: '#/$defs/tree' } } },
  },
};
const read = createNormaliser(schema, { fillDefaults: true });
const write = createNormaliser(schema, { fillDefaults: false });
const given = (text: string) => {
  const exact = exactJson(text, JSON.parse(text));
  if (!exact.ok) throw new Error(exact.problem);
  return exact.value as JsonObject;
};

describe('R-87: arguments in one form', () => {
  it.each([
    ['{"id":5}', { id: 5 }],
    ['{"id":"5"}', { id: 5 }],
    ['{"id":"-0"}', { id: 0 }],
    ['{"id":5.0}', { id: 5 }],
    ['{"big":"5"}', { big: 5 }],
    [`{"big":"${BIG}"}`, { big: BIG }],
    ['{"big":"9223372036854775807"}', { big: '9223372036854775807' }],
    ['{"either":"5"}', { either: '5' }],
    [`{"either":"${BIG}"}`, { either: BIG }],
    ['{"id":null,"price":null,"mode":null,"list":null,"union":null}', {}],
    ['{"note":null,"any":null}', { note: null, any: null }],
    ['{"list":[{"sku":"7","size":null}]}', { list: [{ sku: 7 }] }],
    ['{"tree":{"n":"1","next":{"n":"2","next":null}}}', { tree: { n: 1, next: { n: 2 } } }],
    ['{"price":1.5}', { price: 1.5 }],
  ])('%s', (text, expected) => {
    expect(write(given(text))).toEqual({ ok: true, arguments: expected });
  });

  it.each([
    [`{"id":${BIG}}`, '/id: a number that does not arrive exactly; a whole number here is at most 9007199254740991'],
    [`{"id":"${BIG}"}`, '/id: a whole number here is at most 9007199254740991'],
    [
      `{"big":${BIG}}`,
      '/big: a whole number beyond 9007199254740991 does not arrive exactly; send it as text, in quotes',
    ],
    ['{"big":"9223372036854775808"}', '/big: must be the text'],
    ['{"big":"-9007199254740993"}', '/big: must be the text'],
    ['{"big":"1e3"}', '/big: '],
    ['{"big":"007"}', '/big: '],
    ['{"id":"007"}', '/id: must be integer'],
    ['{"id":"5.0"}', '/id: must be integer'],
    ['{"id":1e400}', '/id: a number that does not arrive exactly; send one with fewer digits'],
    ['{"price":0.10000000000000000555}', '/price: a number that does not arrive exactly'],
    ['{"price":"1.5"}', '/price: must be number'],
    ['{"union":"5"}', '/union: must be'],
    ['{"list":[{"sku":1},{"sku":1e21}]}', '/list/1/sku: a number'],
    [`{"any":{"deep":[${BIG}]}}`, '/any: a number'],
    ['{"list":[{"sku":null}]}', '/list/0/sku: must be integer'],
    [`{"unknown":${BIG}}`, 'arguments: a number'],
  ])('%s is refused, and says how to send it', (text, expected) => {
    const result = write(given(text));
    expect(result).toMatchObject({ ok: false });
    expect(result.ok === false && result.problem).toContain(expected);
    expect(JSON.stringify(result)).not.toContain(BIG);
  });

  it('defaults are filled in for reads, at every level, and for writes only when asked', () => {
    expect(read({ list: [{ sku: 1 }] })).toEqual({ ok: true, arguments: { list: [{ sku: 1, size: 1 }], mode: 'a' } });
    expect(write({ list: [{ sku: 1 }] })).toEqual({ ok: true, arguments: { list: [{ sku: 1 }] } });
  });

  it('null keeps its meaning where the schema allows it in any way', () => {
    const nullable = createNormaliser(
      { type: 'object', properties: { note: { type: 'string', nullable: true } } },
      { fillDefaults: false },
    );
    expect(nullable({ note: null })).toEqual({ ok: true, arguments: { note: null } });
  });

  it('a schema that takes text already is left as its author wrote it', () => {
    const either = { type: ['integer', 'string'], format: 'int64', pattern: '^[0-9]+$' } as unknown as JsonObject;
    const read = createNormaliser({ type: 'object', properties: { id: either } }, { fillDefaults: false });
    for (const id of ['5', BIG]) expect(read({ id })).toEqual({ ok: true, arguments: { id } });
    expect(read({ id: '-5' })).toMatchObject({ ok: false });
    const half = createNormaliser(
      { type: 'object', properties: { id: { type: 'integer', format: 'int64', multipleOf: 0.5 } } },
      { fillDefaults: false },
    );
    expect(half({ id: BIG })).toEqual({ ok: true, arguments: { id: BIG } });
  });

  it('a default does not stand in the way of an argument that excludes it', () => {
    const pages = createNormaliser(
      {
        type: 'object',
        properties: { page: { type: 'integer', default: 1 }, cursor: { type: 'string' } },
        not: { required: ['page', 'cursor'] },
      },
      { fillDefaults: true },
    );
    expect(pages({ cursor: 'a' })).toEqual({ ok: true, arguments: { cursor: 'a' } });
    expect(pages({})).toEqual({ ok: true, arguments: { page: 1 } });
    expect(pages({ page: 2, cursor: 'a' })).toMatchObject({ ok: false });
  });

  it('a default is a copy, and names of built-in properties are arguments like any other', () => {
    const open = createNormaliser(
      { type: 'object', properties: { tags: { type: 'array', default: [] } }, additionalProperties: true },
      { fillDefaults: true },
    );
    const first = open(JSON.parse('{"__proto__":1,"constructor":"2"}'));
    expect(Object.entries(first.ok ? first.arguments : {})).toEqual([
      ['__proto__', 1],
      ['constructor', '2'],
      ['tags', []],
    ]);
    if (first.ok) (first.arguments.tags as unknown[]).push(1);
    expect(open({})).toEqual({ ok: true, arguments: { tags: [] } });
  });

  it('a long text of digits costs no time', () => {
    const began = process.cpuUsage().user;
    expect(write({ big: '9'.repeat(200_000) }).ok).toBe(false);
    expect(process.cpuUsage().user - began).toBeLessThan(2_000_000);
  });
});
