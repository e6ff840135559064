// References to environment variables in connector.yaml: scalars wherever they stand, with the type that is wanted there.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { formatProblem, parseYaml } from '../../src/formats/yaml/yaml.ts';

const schema = z.strictObject({
  port: z.int().optional(),
  on: z.boolean().optional(),
  version: z.literal(1).optional(),
  text: z.string().optional(),
  inner: z.strictObject({ port: z.int(), names: z.array(z.string()).optional() }).optional(),
  either: z.union([z.strictObject({ n: z.number() }), z.strictObject({ s: z.string() })]).optional(),
});
const read = (text: string, env: NodeJS.ProcessEnv = {}) => {
  const parsed = parseYaml(text, schema, { file: 'c.yaml', env });
  return parsed.ok ? parsed.value : parsed.problems.map(formatProblem);
};

describe('a reference', () => {
  it.each([
    ['in block style', 'port: ${P}'],
    ['in flow style', '{ port: ${P} }'],
    ['in double quotes', 'port: "${P}"'],
    ['in single quotes', "port: '${P}'"],
    ['on the next line', 'port:\n  ${P}'],
  ])('%s is a scalar of the wanted type', (_where, text) => {
    expect(read(text, { P: '8787' })).toEqual({ port: 8787 });
  });

  it('deep in flow style', () => {
    expect(read('inner: { port: ${P}, names: [${A}, ${B:-b, c}, x] }', { P: '1', A: 'a' })).toEqual({
      inner: { port: 1, names: ['a', 'b, c', 'x'] },
    });
  });

  it('is text where text is wanted, whatever it looks like, and never YAML', () => {
    for (const value of ['8787', 'true', 'null', '{ a: 1 }', '[x', '# no', 'a: b', '*x', '"', '- x', '0x10'])
      expect(read('{ text: ${V} }', { V: value })).toEqual({ text: value });
  });

  it('is a boolean, one of several constants, or what a choice wants', () => {
    expect(read('{ on: ${V}, version: ${W}, either: { n: ${X} } }', { V: 'false', W: '1', X: '2.5' })).toEqual({
      on: false,
      version: 1,
      either: { n: 2.5 },
    });
  });

  it('may have a default, for a variable that is not set or empty', () => {
    expect(read('port: ${P:-8080}', {})).toEqual({ port: 8080 });
    expect(read('port: ${P:-8080}', { P: '' })).toEqual({ port: 8080 });
    expect(read('port: ${P:-8080}', { P: '1' })).toEqual({ port: 1 });
    expect(read('text: ${P:-}')).toEqual({ text: '' });
    expect(read('text: "x-${P:-a:-b}-y"')).toEqual({ text: 'x-a:-b-y' });
  });

  it('is named in what is wrong with its value: the variable, the default, or the text it stands in', () => {
    expect(read('port: ${P:-abc}')).toEqual(['c.yaml:1 port: the default in ${P:-abc} is no number']);
    expect(read('port: ${P:-1}', { P: 'x' })).toEqual(['c.yaml:1 port: the environment variable P is no number']);
    expect(read('version: ${V}', { V: '2' })).toEqual([
      expect.stringMatching(/^c.yaml:1 version: Invalid input: .*\(it comes from \$\{V\}\)$/),
    ]);
    // A value may be a secret, so what it is stands in no message.
    expect(read('{ version: ${V}, port: "${P}" }', { V: 'hunter2', P: 'hunter2' }).toString()).not.toContain('hunter2');
  });

  it('in a key gives one error for one slip, with its line', () => {
    expect(read('text: a\n${K}: 1')).toEqual([
      'c.yaml:2 ${K}: the environment variable K is not set; set it or write $${K} for the text itself',
    ]);
    expect(read('text: a\n${K}: 1', { K: 'nonsense' })).toEqual(['c.yaml:2 ${K}: unknown key "${K}"']);
    const offline = parseYaml('text: a\n${K}: 1', schema, { file: 'c.yaml', env: {}, open: true });
    expect(offline.ok).toBe(true);
  });

  it('without its end is a problem, and its values stand in no message', () => {
    expect(read('text: "http://${H"')).toEqual([expect.stringMatching(/text: "\$\{" has no "\}" in the same line/)]);
    expect(read('text: "a$${b"')).toEqual({ text: 'a${b' });
    expect(read('{ "${K}": 1, text: x, "${K}x": 2 }', { K: 'secret-key' })).toEqual([
      'c.yaml:1 ${K}: unknown key "${K}"',
      'c.yaml:1 ${K}x: unknown key "${K}x"',
    ]);
  });

  it('may be part of a text, and $${ is the text itself', () => {
    expect(read('text: http://${H}:${P}/', { H: 'h', P: '1' })).toEqual({ text: 'http://h:1/' });
    expect(read('{ text: $${P} }')).toEqual({ text: '${P}' });
    expect(read('# ${NOT_SET\n#${NOT_SET}\ntext: x')).toEqual({ text: 'x' });
  });
});

it('names that become the same are told, and what a variable holds is not touched', () => {
  const tables = z.strictObject({ t: z.record(z.string(), z.number()) });
  const parsed = parseYaml('t: { "${A}": 1, b: 2 }', tables, { file: 'c', env: { A: 'b' } });
  expect(parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path} ${message}`)).toEqual([
    't.${A} is given twice, once by a variable',
  ]);
  expect(read('{ text: "${V}" }', { V: '\uE041' })).toEqual({ text: '\uE041' });
  expect(read('text: "${A:-${B}}"')).toEqual([expect.stringMatching(/is no reference/)]);
});

describe('one error for one slip', () => {
  it.each([
    ['port: ${P}', {}, /^c.yaml:1 port: the environment variable P is not set/],
    ['\nport: ${P}', { P: 'abc' }, /^c.yaml:2 port: the environment variable P is no number/],
    ['{ on: ${P} }', { P: 'yes' }, /on: the environment variable P is no boolean/],
    ['text: ${1P}', {}, /text: \$\{1P\} is no reference: write/],
    ['{ inner: { port: ${P}, nmes: [] } }', { P: '1' }, /inner.nmes: unknown key/],
    ['inner: { port: 1, names: [a }\nport: 1\non: true\ntext: [x\n', {}, /^c.yaml:1 /],
  ])('%j', (text, env, message) => {
    const problems = read(text, env as NodeJS.ProcessEnv) as string[];
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(message);
  });

  it('an error of the syntax shows the text as it was written', () => {
    expect(String(read('{ text: ${A}: [ ${B} }', { A: 'a', B: 'b' }))).not.toMatch(/[\uE000-\uE0FF]/);
    expect(read('text: \uE041')).toEqual([expect.stringMatching(/U\+E020 to U\+E07E/)]);
  });
});

it('any value of a variable comes through as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      expect(read('{ text: ${V} }', { V: value })).toEqual({ text: value });
      expect(read('text: "a${V}b"', { V: value })).toEqual({ text: `a${value}b` });
    }),
    { numRuns: 500 },
  );
});
