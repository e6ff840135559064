// What the chain of the decision log costs: for each record that is written, and for a log that is verified, beside the same
// without a chain and beside sha256sum on the same file.
import { execFileSync } from 'node:child_process';
import fs, { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readSigningKeys } from '../../src/audit/chain/keys.ts';
import { createBatches } from '../../src/audit/log/batches.ts';
import { exportKeys } from '../../src/audit/read/public-keys.ts';
import { verifyLogs } from '../../src/audit/read/verify.ts';
import type { DecisionHead } from '../../src/audit/records.ts';
import { escapeUnseen } from '../../src/core/printable.ts';
import { constant, JsonText, jsonTextOf } from '../../src/formats/json-text.ts';
import { openLogIn } from '../support/open-log.ts';
import { median, type Row, rounded, row, type Show } from './row.ts';

/** Records that arrive at the same time, as with 32 calls under way. */
const BATCH = 16;
const MB = 1024 * 1024;
const BARE = 'a record, written to a bare file';
const LINKED = 'a record, linked, its file compared with its path';

const INPUT = new JsonText(JSON.stringify({ client: { user_agent: 'x'.repeat(1400) } }));
const RESULT = constant({
  outcome: 'allow' as const,
  reasons: [{ code: 'access.role', params: {} }],
  obligations: [] as [],
});
const HEAD = {
  ...{ type: 'decision', timestamp: '2026-11-28T10:00:00.000Z', decision_id: '0'.repeat(36), req_id: '0'.repeat(36) },
  ...{ path: 'sallyport/decision', bundles: { sallyport: { revision: '0'.repeat(16) } }, wasm_sha256: '0'.repeat(64) },
  ...{ requested_by: '10.1.2.3', client: { id: 'c', subject: 's', issuer: 'i' }, decided_by: 'policy' },
  ...{ credential: { method: 'key', key_id: null }, rpc_id: 1, handle: null, replayable: true },
  ...{ tool: { name: 't', backend: 'b' }, erased: [], metrics: { timer_rego_query_eval_ns: 1 } },
} as DecisionHead;

/** Microseconds of CPU for each record, all threads of this process together. */
async function cpuOf(seconds: number, batch: () => Promise<unknown>): Promise<{ each: number; count: number }> {
  let count = 0;
  const begin = process.cpuUsage();
  for (const end = performance.now() + seconds * 1000; performance.now() < end; count += BATCH) await batch();
  const { user, system } = process.cpuUsage(begin);
  return { each: (user + system) / count, count };
}

/** What links of the two records of a call cost, as a part of what the call costs. */
export function chainShare(rows: readonly Row[]): Row | undefined {
  const call = rows.find(({ name, concurrency }) => name.startsWith('(c)') && concurrency === 32);
  const [bare, linked] = [BARE, LINKED].map((name) => rows.find((each) => each.name === name)?.cpu_us_per_call);
  if (!call?.cpu_us_per_call || bare === undefined || linked === undefined) return undefined;
  const each = rounded(2 * (linked - bare), 1);
  return row('the links of the two records of a call', {
    ...{ cpu_us_per_call: each, ratio: rounded(each / call.cpu_us_per_call), compared_to: call.name },
  });
}

export async function auditRows(seconds: number, rounds: number, show: Show): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-log-'));
  try {
    await appendRows(dir, seconds, rounds, show);
    await verifyRows(dir, seconds, rounds, show);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function appendRows(dir: string, seconds: number, rounds: number, show: Show): Promise<void> {
  const log = openLogIn(dir);
  const fd = fs.openSync(join(dir, 'bare.jsonl'), 'a');
  const write = promisify(fs.write) as (fd: number, data: Buffer) => Promise<unknown>;
  const batches = createBatches(
    {
      append: async (lines) => void (await write(fd, Buffer.from(`${lines.join('\n')}\n`))),
      due: () => false,
      lost: () => {},
      close: async () => fs.closeSync(fd),
    },
    () => '',
  );
  const labels = '"labels":{"id":"host","version":"0.1.0"}';
  const line = () =>
    escapeUnseen(
      `{"level":"info","message":"decision",${JSON.stringify(HEAD).slice(1, -1)},${labels},"input":${jsonTextOf(INPUT)},"result":${jsonTextOf(RESULT)}}`,
    );
  const bare = () => Promise.all(Array.from({ length: BATCH }, () => batches.write(line(), true)));
  const chained = () =>
    Promise.all(Array.from({ length: BATCH }, () => log.decided(HEAD, { input: INPUT, result: RESULT })));
  const pairs: { bare: number; chained: number; count: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const [without, within] = [await cpuOf(seconds, bare), await cpuOf(seconds, chained)];
    pairs.push({ bare: without.each, chained: within.each, count: within.count });
  }
  await log.close();
  await batches.close();
  const middle = median(pairs, (pair) => pair.chained / pair.bare);
  show(row(BARE, { concurrency: BATCH, cpu_us_per_call: rounded(middle.bare, 1), calls: middle.count }));
  show(
    row(LINKED, {
      ...{ concurrency: BATCH, cpu_us_per_call: rounded(middle.chained, 1), calls: middle.count },
      ...{ ratio: rounded(middle.chained / middle.bare), compared_to: BARE },
    }),
  );
}

async function verifyRows(dir: string, seconds: number, rounds: number, show: Show): Promise<void> {
  const file = join(dir, 'decisions.jsonl');
  const log = openLogIn(dir);
  for (const size = Math.max(4, seconds * 40) * MB; statSync(file).size < size; )
    await Promise.all(Array.from({ length: 500 }, () => log.decided(HEAD, { input: INPUT, result: RESULT })));
  await log.close();
  const keys = join(dir, 'public.json');
  writeFileSync(keys, JSON.stringify(exportKeys(readSigningKeys(join(dir, 'audit-keys.json')))));
  const megabytes = statSync(file).size / MB;
  const rate = async (work: () => unknown): Promise<number> => {
    const began = performance.now();
    await work();
    return (megabytes / (performance.now() - began)) * 1000;
  };
  const pairs: { sum: number; verify: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const sum = await rate(() => execFileSync('sha256sum', [file]));
    const verify = await rate(async () => {
      const { verdict } = await verifyLogs({
        files: [file],
        keys: [keys],
        anchors: [join(dir, 'audit-head.json')],
        log: 'decisions',
      });
      if (verdict !== 'whole') throw new Error('the log of the benchmark is not whole');
    });
    pairs.push({ sum, verify });
  }
  const { sum, verify } = median(pairs, (pair) => pair.verify / pair.sum);
  const all: Partial<Row> = { calls: Math.round(megabytes) };
  const name = 'sha256sum of a log, megabytes a second';
  show(row(name, { ...all, per_second: Math.round(sum) }));
  show(
    row('audit verify of the same log, megabytes a second', {
      ...{ ...all, per_second: Math.round(verify), ratio: rounded(verify / sum), compared_to: name },
    }),
  );
}
