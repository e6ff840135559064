import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exactJson, InexactNumber, isExactNumber, plainNumber } from '../../src/formats/exact-json.ts';
import { parseJson } from '../../src/formats/json.ts';

const read = (text: string) => exactJson(text, JSON.parse(text));

describe('R-87: exact numbers', () => {
  it.each([
    ...['0', '-0', '5.0', '1e3', '1E-3', '0.1', '123456789.123456', '9007199254740991', '-9007199254740991'],
    ...['0.30000000000000004', '1.0000000000000000', '100e-2', '1.5e300'.replace('300', '5'), '0.000001', '0e999'],
  ])('%s is exact', (text) => {
    expect(isExactNumber(text)).toBe(true);
    expect(read(`[${text}]`)).toEqual({ ok: true, value: [Number(text)] });
  });
  it.each([
    ...['9007199254740992', '9007199254740993', '-9007199254740993', '1e21', '1e400', '-1e400', '1e-400'],
    ...[
      '9007199254740993.0',
      '900719925474099.3e1',
      '0.1000000000000000055',
      '12345678901234567890123',
      '1e9999999999999',
    ],
  ])('%s is not, and stands in its own spelling', (text) => {
    expect(isExactNumber(text)).toBe(false);
    expect(read(`{"a":[1,{"__proto__":${text}}]}`)).toEqual({
      ok: true,
      value: {
        a: [1, JSON.parse('{"__proto__":0}', (key, value) => (key === '__proto__' ? new InexactNumber(text) : value))],
      },
    });
  });

  it('every safe whole number and every double in its shortest spelling is exact', () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (number) => isExactNumber(String(number))));
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const whole = Number.isInteger(number) && !Number.isSafeInteger(number);
        expect(isExactNumber(String(number))).toBe(!whole);
      }),
    );
  });

  it('any other JSON text comes back as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.nat(3), (text, indent) => {
        const value: unknown = JSON.parse(text);
        const spaced = JSON.stringify(value, null, indent);
        const result = read(spaced);
        const numbers = JSON.stringify(value).match(/-?\d[\d.eE+-]*/g) ?? [];
        if (result.ok && numbers.every(isExactNumber)) expect(result.value).toEqual(value);
      }),
    );
  });

  it('a number of any length costs no time', () => {
    const began = process.cpuUsage().user;
    for (const text of [
      `1.${'0'.repeat(200_000)}1`,
      `1e${'9'.repeat(200_000)}`,
      `0.${'0'.repeat(200_000)}`,
      '9'.repeat(200_000),
    ])
      expect(isExactNumber(text)).toBe(false);
    expect(process.cpuUsage().user - began).toBeLessThan(2_000_000);
  });

  it('a small number goes out without an exponent', () => {
    for (const [number, text] of [
      [1e-7, '0.0000001'],
      [-1.25e-9, '-0.00000000125'],
      [0.000001, '0.000001'],
      [5, '5'],
      [-0.5, '-0.5'],
    ] as const) {
      expect(plainNumber(number)).toBe(text);
      expect(Number(plainNumber(number))).toBe(number);
    }
  });

  it('what a backend answers keeps its digits, and is never a null', () => {
    expect(parseJson('{"id":9007199254740993,"a":1e400,"b":1.5e3,"c":"1e400","d":[-12345678901234567890]}')).toEqual({
      id: '9007199254740993',
      a: '1e400',
      b: 1500,
      c: '1e400',
      d: ['-12345678901234567890'],
    });
  });
});

describe('R-87: duplicate keys', () => {
  it.each([
    '{"a":1,"a":1}',
    '{"a":1,"b":{"c":1,"d":[{"x":1},{"y":1,"y":2}]}}',
    '{"a":1,"\\u0061":2}',
    '{"":1,"":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"a\\"b":1,"a\\u0022b":2}',
    '{"a":"}","a":2}',
    '{"k":[],"x":{},"k":1}',
  ])('%s is refused', (text) => {
    expect(read(text)).toEqual({ ok: false, problem: 'duplicate_key' });
  });
  it.each([
    '{"a":1,"A":1}',
    '{"a":{"a":{"a":1}},"b":{"a":1}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"a"}',
    '{"a\\\\":1,"a":{"x":"\\\\\\""}}',
    '{"a":",\\"a\\":"}',
    '[]',
    '"a"',
  ])('%s is taken', (text) => {
    expect(read(text)).toEqual({ ok: true, value: JSON.parse(text) });
  });
});

it('R-87: a key that V8 reads as another one is refused, on releases that do so', () => {
  const spelt = ['"a"', '"\\u0061"', '"a\\""', '"b"', '"a\\\\"', '"ab"', '""'];
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    const keys = [...new Set([spelt[i % 7], spelt[(i * 3 + 1) % 7]])].filter((key, n, all) =>
      all.every((other, m) => m === n || JSON.parse(`${other}`) !== JSON.parse(`${key}`)),
    );
    const text = `{${keys.map((key) => `${key}:[9007199254740992]`).join(',')}}`;
    const value = JSON.parse(text) as object;
    const read = exactJson(text, value);
    const right = keys.every((key) => Object.hasOwn(value, JSON.parse(`${key}`) as string));
    if (right) expect(read.ok).toBe(true);
    else {
      refused += 1;
      expect(read).toEqual({ ok: false, problem: 'misread' });
    }
  }
  if (process.versions.node.startsWith('20.')) expect(refused).toBe(0);
});
