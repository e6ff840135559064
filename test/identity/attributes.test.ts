// Attributes of clients with API keys: what policies read of them as of claims.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { attributesFile, readAttributes } from '../../src/identity/api-keys/attributes.ts';
import { run } from '../support/cli.ts';

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-attributes-'));
  file = join(dir, 'clients.json');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const add = (id: string, ...args: string[]) => run(['client', 'add', id, '--file', file, ...args]);
const clients = () => JSON.parse(readFileSync(file, 'utf8')).clients.map(({ id }: { id: string }) => id);

it('R-36: a client is added with attributes; numbers, truth and lists are taken as such, what would be rounded stays text', async () => {
  const { code } = await add(
    'amy',
    '-a',
    'tenant=acme',
    'level=3',
    'night=true',
    'groups=["a","b"]',
    'account=12345678901234567890',
    'quoted="3"',
  );
  expect(code).toBe(0);
  expect(readAttributes(attributesFile(file)).get('amy')).toEqual({
    tenant: 'acme',
    level: 3,
    night: true,
    groups: ['a', 'b'],
    account: '12345678901234567890',
    quoted: '"3"',
  });
});

it.each([
  ['too many', Array.from({ length: 33 }, (_, i) => `n${i}=x`), /attributes: there are more than 32/],
  ['the same twice', ['tenant=A', 'tenant=B'], /--attribute tenant is given twice/],
  ['a name of JavaScript', ['__proto__=x'], /"__proto__" is not a name/],
  ['nothing to name', ['=x'], /takes name=value/],
  ['null', ['n=null'], /attribute n/],
  ['an object', ['n={"a":1}'], /attribute n/],
])('%s is one clear error, and no client is added whose key nobody has seen', async (_name, attributes, message) => {
  expect((await add('first')).code).toBe(0);
  const { code, stderr } = await add('bob', '-a', ...attributes);
  expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  expect(clients()).toEqual(['first']);
});

it('a new client does not inherit the attributes of an earlier one of the same name', async () => {
  await add('amy', '-a', 'tenant=acme');
  writeFileSync(file, '{"version":1,"clients":[]}', { mode: 0o600 });
  const { code, stderr } = await add('amy');
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/had attributes of an earlier client "amy"; they are removed/),
  ]);
  expect(readAttributes(attributesFile(file)).has('amy')).toBe(false);
});

it('a new key for the same client keeps its attributes', async () => {
  await add('amy', '-a', 'tenant=acme');
  await add('amy', '--replace');
  expect(readAttributes(attributesFile(file)).get('amy')).toEqual({ tenant: 'acme' });
});

it.each([
  ['half a surrogate pair', '{"version":1,"attributes":{"amy":{"n":"\\ud800"}}}', /is no Unicode text/],
  ['a name of JavaScript', '{"version":1,"attributes":{"amy":{"__proto__":"x"}}}', /"__proto__" is not a name/],
  ['nesting', '{"version":1,"attributes":{"amy":{"n":{"a":1}}}}', /attributes\.amy\.n/],
  ['half a file', '{"version":1,', /is not JSON/],
])('a file with %s is refused', (_name, text, message) => {
  writeFileSync(attributesFile(file), text, { mode: 0o600 });
  expect(() => readAttributes(attributesFile(file))).toThrow(message);
});
