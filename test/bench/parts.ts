// Parts that every call or answer goes through, each against the least that would do: parsing the message or answer.
import { createHash, randomUUID } from 'node:crypto';
import { scrub, spellings } from '../../src/backend/answer/scrub.ts';
import { holdsEncodedJson } from '../../src/backend/answer/views.ts';
import { createZoneClock } from '../../src/core/zones.ts';
import { trim } from '../../src/enforcement/mask.ts';
import { createNormaliser } from '../../src/formats/arguments.ts';
import { exactJson } from '../../src/formats/exact-json.ts';
import type { Json, JsonObject } from '../../src/formats/json.ts';
import { createMemoryProofs } from '../../src/store/memory/proofs.ts';
import { type Row, rounded, row as rowOf } from './row.ts';

/** Measures one function for a while; CPU time, because it holds still on a machine that others use. */
function cpuOf(work: () => void, seconds: number): number {
  for (let i = 0; i < 200; i++) work();
  const end = performance.now() + seconds * 1000;
  const began = process.cpuUsage();
  let runs = 0;
  while (performance.now() < end) {
    for (let i = 0; i < 20; i++) work();
    runs += 20;
  }
  const { user, system } = process.cpuUsage(began);
  return (user + system) / runs;
}

const row = (name: string, us: number, more: Partial<Row> = {}): Row =>
  rowOf(name, { p50_us: rounded(us, 1), per_second: Math.round(1e6 / us), ...more });

const compared = (name: string, us: number, base: string, baseUs: number): Row =>
  row(name, us, { ratio: Math.round((us / baseUs) * 100) / 100, compared_to: base });

export async function partRows(seconds: number, show: (row: Row) => void): Promise<void> {
  const each = Math.max(0.2, seconds / 8);
  const message = JSON.stringify({
    jsonrpc: '2.0',
    id: 4711,
    method: 'tools/call',
    params: { name: 'stock_adjust', arguments: { sku: 'A-1', delta: -2, reason: 'counted again', lines: [1, 2.5, 3] } },
  });
  const parsed = 'JSON.parse of a message';
  const parse = cpuOf(() => JSON.parse(message), each);
  show(row(parsed, parse));
  show(
    compared(
      'read a message exactly (R-87)',
      cpuOf(() => exactJson(message, JSON.parse(message)), each),
      parsed,
      parse,
    ),
  );
  const normalise = createNormaliser(
    {
      type: 'object',
      properties: {
        sku: { type: 'string' },
        delta: { type: 'integer' },
        reason: { type: 'string' },
        lines: { type: 'array', items: { type: 'number' } },
      },
      required: ['sku'],
    },
    { fillDefaults: true },
  );
  const args = JSON.parse(message).params.arguments as JsonObject;
  show(
    compared(
      'bring arguments into form, and check them',
      cpuOf(() => normalise(args), each),
      parsed,
      parse,
    ),
  );

  const secrets = [
    ...spellings(['9f8c7d6e5f4a3b2c1d0e9f8c7d6e5f4a', 'kT9+xY/3==qq8Zp'], { pieces: true }),
    ...spellings(['hunter2-secret']),
  ];
  const clean = (value: Json) => () => {
    const json = JSON.stringify(value);
    scrub(value, secrets, json);
    holdsEncodedJson(json, secrets);
  };
  const list: Json = {
    items: Array.from({ length: 200 }, (_, i) => ({
      sku: `A-${i}`,
      name: `Hinge, steel number ${i}`,
      quantity: i * 7,
      url: `/stock/items/${i}?page=2&q=x%20y`,
      note: 'Some ordinary text about this item, in a sentence.',
    })),
  };
  const ids: Json = Array.from({ length: 600 }, (_, i) => {
    const hex = createHash('sha256').update(String(i)).digest('hex');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
  });
  const answers: [string, Json][] = [
    ['an answer of 32 KB', list],
    ['an answer of 600 UUIDs', ids],
  ];
  for (const [name, value] of answers) {
    const text = JSON.stringify(value);
    const base = cpuOf(() => JSON.parse(text), each);
    show(row(`JSON.parse of ${name}`, base));
    show(compared(`look for the session in ${name} (R-40)`, cpuOf(clean(value), each), `JSON.parse of ${name}`, base));
  }

  // What rules of a site can have: local time, and masks and limits on a result.
  const zones = createZoneClock(['Europe/Berlin', 'Asia/Kolkata']);
  const masks = [{ pointers: ['/items/*/note'], required: true }];
  const parseList = cpuOf(() => JSON.parse(JSON.stringify(list)), each);
  const baseline = 'JSON.stringify and parse of an answer of 32 KB';
  show(row(baseline, parseList));
  let at = Date.now();
  show(
    compared(
      'local time of two zones, 60 calls a second',
      cpuOf(() => {
        at += 17;
        zones(at);
      }, each),
      baseline,
      parseList,
    ),
  );
  show(
    compared(
      'mask and shorten an answer of 32 KB',
      cpuOf(() => trim(list, masks, [{ pointer: '/items', items: 100 }]), each),
      baseline,
      parseList,
    ),
  );

  // A record of used proofs that is full of live ones must cost no more than an empty one.
  const claims = async (fill: number): Promise<number> => {
    const proofs = createMemoryProofs({ now: Date.now });
    const use = { network: '10.0.0.0/24' } as never;
    for (let i = 0; i < fill; i++) await proofs.use(`filled ${i}`, use, 3_600_000).catch(() => {});
    const began = process.cpuUsage();
    for (let i = 0; i < 2000; i++) await proofs.use(randomUUID(), use, 3_600_000).catch(() => {});
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 2000;
  };
  await claims(0);
  const empty = await claims(0);
  show(row('claim a proof, empty record', empty));
  show(compared('claim a proof, full record (500,000)', await claims(500_000), 'claim a proof, empty record', empty));
}
