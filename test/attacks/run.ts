// `npm run attacks` runs every attack against real replicas and prints a table: attack, expected and actual result.
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { paint } from '../../src/cli/output.ts';
import { messageOf } from '../../src/core/errors.ts';
import { startCluster } from '../support/replicas.ts';
import { GROUPS } from './all.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (options.help) {
  console.log('Usage: npm run attacks -- [--only NUMBER]... [--json FILE]\nExit code 0: everything came as expected.');
  process.exit(0);
}
const redisProgram = ['redis-server', 'valkey-server']
  .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((file) => existsSync(file));
if (redisProgram === undefined) {
  console.error('The attacks need a real Redis: install redis-server (or valkey) and put it on PATH.');
  process.exit(1);
}

interface Row {
  id: number;
  title: string;
  expected: string;
  got: string;
  ok: boolean;
}
const rows: Row[] = [];
for (const { options: groupOptions, attacks } of GROUPS) {
  const chosen = attacks.filter(({ id }) => options.only.length === 0 || options.only.includes(String(id)));
  if (chosen.length === 0) continue;
  const cluster = await startCluster({ redisProgram, ...groupOptions });
  try {
    for (const { id, title, expected, run } of chosen) {
      const got = await run(cluster).catch((thrown: unknown) => `failed: ${messageOf(thrown)}`);
      const ok = got === expected;
      rows.push({ id, title, expected, got, ok });
      console.log(`${ok ? paint('green', 'ok  ') : paint('red', 'FAIL')} ${String(id).padStart(2)}  ${title}`);
      console.log(`         expected  ${expected}`);
      console.log(`         got       ${ok ? got : paint('red', got)}`);
    }
  } finally {
    await cluster.close();
  }
}
rows.sort((a, b) => a.id - b.id);
const failed = rows.filter(({ ok }) => !ok);
console.log(`\n${rows.length - failed.length} of ${rows.length} attacks came out as expected`);
if (options.json) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
process.exitCode = rows.length > 0 && failed.length === 0 ? 0 : 1;
