// The decision input is described in five places. A field that one of them forgets is found here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { buildInput } from '../../src/decision/input.ts';
import { inputText } from '../../src/decision/input-text.ts';
import { inputSchema } from '../../src/decision/schema.ts';
import { createClient } from '../../src/identity/client.ts';
import { clientId } from '../support/refs.ts';

const read = (file: string) => readFileSync(join(PACKAGE_ROOT, file), 'utf8');
const schema = JSON.parse(read('policies/schemas/input.json')) as Schema;
const document = read('docs/decision-contract.md');

interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
}

/** Every field of the published schema, such as "session.bound.ipv4.ip" and "usage.networks[].calls". */
function fieldsOf({ properties, items }: Schema, at = ''): string[] {
  if (items) return fieldsOf(items, `${at}[]`);
  if (!properties) return [at];
  return Object.entries(properties).flatMap(([name, child]) => fieldsOf(child, at === '' ? name : `${at}.${name}`));
}

/** Whether a document has the field. Below a null there are no fields to look for. */
function has(value: unknown, [head = '', ...rest]: string[]): boolean {
  if (value === null) return true;
  if (head === '') return true;
  if (head === '[]') return Array.isArray(value) && value.every((item) => has(item, rest));
  return typeof value === 'object' && head in value && has((value as Record<string, unknown>)[head], rest);
}
const parts = (field: string) => field.replaceAll('[]', '.[]').split('.');

const place = { ip: '10.1.2.3', network: '10.1.2.0/24' };
const built = buildInput({
  now: 1_795_424_400_000,
  zones: { 'Europe/Berlin': { date: '2026-11-23', weekday: 'monday', hour: 10, minute: 0 } },
  client: createClient({
    id: 'agent-7',
    subject: 'alice',
    issuer: 'https://idp.example',
    roles: ['clerk'],
    scopes: ['stock:write'],
    policyClaims: { tenant: 'acme' },
    auth: { method: 'jwt', issuedAt: 0, expiresAt: 0, key: 'k' },
  }),
  ...place,
  userAgent: 'agent/1',
  tool: { name: 'stock_adjust', backend: 'inventory', effect: 'write' },
  arguments: { sku: 'A-1' },
  session: {
    id: 'f',
    generation: 1,
    token_age_seconds: 0,
    age_seconds: 0,
    idle_seconds: 0,
    token_uses: 1,
    bound: {
      client_id: clientId('agent-7'),
      subject: 'alice',
      key: 'k',
      ipv4: place,
      ipv6: place,
      networks: ['10.9.9.0/24'],
    },
  },
  usage: {
    calls_1m: 1,
    calls_1h: 1,
    denials_1h: 0,
    in_flight: 1,
    seconds_since_last_call: 1,
    networks: [
      {
        network: place.network,
        calls: 1,
        last_seen_seconds: 0,
        returned_seconds: 0,
        away_seconds: 1,
        returned_from: '10.9.9.0/24',
        refused: true,
      },
    ],
    networks_dropped_seconds: 1,
    tool: { calls_90d: 1, last_seconds: 1 },
    forgotten: false,
  },
  replay: {
    source: 'rpc_id',
    seen: true,
    first_seen_seconds: 1,
    same_network: true,
    history: 'complete',
    handle: 'f',
    rpc_id: 1,
  },
  freeze: [{ scope: 'tool', name: 'stock_adjust', operator: 'on-call', reason: 'wrong counts', until: null }],
});
const written = inputText(built, ['sku']);
const recorded = { input: written.logged.toJSON() as object, erased: written.erased };
const example = inputSchema.parse(JSON.parse(/## Input\n\n```json\n([\s\S]*?)```/.exec(document)?.[1] ?? ''));

it('the schema has fields', () => {
  expect(fieldsOf(schema).length).toBeGreaterThan(40);
  expect(() => inputSchema.parse(built)).not.toThrow();
});

it.each(fieldsOf(schema))('R-36: %s is in the input, the record, the contract document and its example', (field) => {
  expect(has(built, parts(field)), 'the input that is built').toBe(true);
  expect(
    has(recorded.input, parts(field)) || recorded.erased.includes(`/input/${field.replaceAll('.', '/')}`),
    'the record',
  ).toBe(true);
  expect(has(example, parts(field)), 'the example in docs/decision-contract.md').toBe(true);
  expect(document.includes(`\`${field.replace(/\[\]$/, '')}\``), 'the table in docs/decision-contract.md').toBe(true);
});

it('R-36: the record of an input with everything audited is the input', () => {
  expect(recorded).toEqual({ input: built, erased: [] });
  expect(written.logged.text).toBe(written.text);
});
