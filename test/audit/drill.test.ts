// A drill: two replicas under mixed calls, while their logs are rotated, cut, filled up and their processes killed. Afterwards
// the verifier says that all is whole, with the gaps by name, and names whatever is done to a copy.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import type { Report } from '../../src/audit/read/findings.ts';
import { recordSchema } from '../../src/audit/record-schema.ts';
import { run } from '../support/cli.ts';
import { recordsOf, wholeRecordsOf } from '../support/decision-log.ts';
import { type Answer, decisionId, ELSEWHERE, HOME, until } from '../support/harness.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';
import { linesOf, tamper } from '../support/tampering.ts';

const [redisProgram, logrotate] = [inject('redis'), inject('logrotate')];
const CALLS = 300;

/** What the real logrotate is told: to move the logs of a replica, or to copy and cut them. */
function rotate({ state }: Replica, how: 'create 0600' | 'copytruncate'): void {
  const config = join(state, '..', `logrotate-${how.split(' ')[0]}.conf`);
  writeFileSync(config, `${join(state, '*.jsonl')} {\n  rotate 9\n  nocompress\n  ${how}\n}\n`, { mode: 0o644 });
  execFileSync(logrotate as string, ['--force', '--state', `${config}.state`, config]);
}

/** While it is on, no file of the process may grow by more than so many bytes: a disk that fills in the middle of a line. */
function fillDisk({ state, child }: Replica, room: number | 'unlimited'): void {
  const largest = Math.max(...['decisions', 'events'].map((name) => statSync(join(state, `${name}.jsonl`)).size));
  const limit = room === 'unlimited' ? room : String(largest + room);
  execFileSync('prlimit', ['--pid', String(child.pid), `--fsize=${limit}:`]);
}

const logsOf = (state: string): string[] =>
  readdirSync(state)
    .filter((name) => /^(decisions|events)/.test(name))
    .map((name) => join(state, name));

async function verify(state: string, keys: string, anchored = true): Promise<{ code: number; report: Report }> {
  const anchor = anchored ? ['--anchor', join(state, 'audit-head.json')] : [];
  const ran = await run(['audit', 'verify', ...logsOf(state), '--keys', keys, ...anchor, '--json']);
  return { code: ran.code, report: JSON.parse(ran.stdout) as Report };
}

describe.skipIf(!redisProgram || !logrotate)('R-61, R-64, R-90: a drill on two replicas', () => {
  it(`${CALLS} mixed calls, log rotation, a full disk and a kill leave logs that are whole, with the gaps named`, async () => {
    const settings = (yaml: string) => yaml.replace(/calls_per_minute: \d+/, 'calls_per_minute: 10000');
    const cluster = await startCluster({ redisProgram: redisProgram as string, replicas: 0, settings });
    const copies = mkdtempSync(join(tmpdir(), 'sallyport-drill-'));
    try {
      const audit = (more: string) => (yaml: string) =>
        `${yaml}\naudit: { checkpoints: { records: 40, seconds: 1 }${more} }\n`;
      const a = await cluster.start({ change: audit('') });
      let b = await cluster.start({ change: audit(', rotate: { size_mb: 0.1 }') });
      const done: string[] = [];
      await mixedCalls(cluster, () => [a, b], CALLS / 3, done);
      rotate(a, 'create 0600');
      await mixedCalls(cluster, () => [a, b], CALLS / 6, done);
      fillDisk(a, 900);
      const refused = await until(async () => {
        const answer = await cluster.call(a, 'stock_get', { sku: 'A-1' });
        return answer.body.result.isError ? decisionId(answer) : undefined;
      }, 'a call to be refused for the full disk');
      fillDisk(a, 'unlimited');
      await until(async () => (await fetch(new URL('/readyz', a.url))).status === 200, 'it to be ready again');
      const under = mixedCalls(cluster, () => [b], 30, []).catch(() => {});
      await b.kill();
      await under;
      b = await cluster.start({ again: b, change: audit(', rotate: { size_mb: 0.1 }') });
      await mixedCalls(cluster, () => [a, b], CALLS / 6, done);
      rotate(b, 'copytruncate');
      await mixedCalls(cluster, () => [a, b], CALLS / 3, done);
      await Promise.all([a.stop(), b.stop()]);

      const keys = join(copies, 'public.json');
      const exported = await run(['audit', 'keys', 'export', '--file', join(a.state, 'audit-keys.json')]);
      writeFileSync(keys, exported.stdout);
      const keysOfB = join(copies, 'public-b.json');
      writeFileSync(
        keysOfB,
        (await run(['audit', 'keys', 'export', '--file', join(b.state, 'audit-keys.json')])).stdout,
      );
      const [first, second] = [await verify(a.state, keys), await verify(b.state, keysOfB)];
      for (const { code, report } of [first, second])
        expect([code, report.verdict, report.findings]).toEqual([0, 'whole', []]);
      expect(first.report.gaps.map(({ cause }) => cause)).toContain('write_failed');
      expect(second.report.gaps.map(({ cause }) => cause)).toContain('shorter');
      // Whatever a client was told was done is on record, and what was refused is named.
      const records = [a, b].flatMap(({ state }) => logsOf(state).flatMap(wholeRecordsOf));
      const decided = new Set(records.filter(({ type }) => type === 'decision').map((record) => record.decision_id));
      expect(done.filter((id) => !decided.has(id))).toEqual([]);
      expect(done.length).toBeGreaterThan(CALLS / 3);
      for (const record of records)
        expect([record.type, recordSchema.safeParse(record).error?.issues]).toEqual([record.type, undefined]);
      expect(records.filter(({ event }) => event === 'log_gap').flatMap((gap) => gap.refused ?? [])).toContain(refused);
      await tamperings(a.state, b.state, keys, copies);
    } finally {
      rmSync(copies, { recursive: true, force: true });
      await cluster.close();
    }
  }, 180_000);
});

const isJson = (line: string): boolean => {
  try {
    return JSON.parse(line) !== null;
  } catch {
    return false;
  }
};

/** Each kind of tampering with a copy of the logs of one replica, by name. */
async function tamperings(state: string, other: string, keys: string, copies: string): Promise<void> {
  const whole = logsOf(state).filter((path) => /decisions\.jsonl$/.test(path))[0] as string;
  const name = 'decisions.jsonl';
  const middle = Math.floor(linesOf(whole).length / 2);
  const swap = (lines: string[]) => [
    ...lines.slice(0, middle),
    lines[middle + 1] as string,
    lines[middle] as string,
    ...lines.slice(middle + 2),
  ];
  // The process of the other log was killed, perhaps in the middle of a line.
  const foreign = linesOf(join(other, name)).filter(isJson).slice(0, 20);
  const checkpoint = linesOf(whole).findLastIndex((line, i, all) => i < all.length - 3 && line.includes('"signature"'));
  const kinds: Record<string, (path: string) => void> = {
    edit: (path) => tamper(path, (lines) => lines.map((line, i) => (i === middle ? line.replace(/"a/, '"b') : line))),
    delete: (path) => tamper(path, (lines) => lines.filter((_, i) => i !== middle)),
    insert: (path) => tamper(path, (lines) => [...lines.slice(0, middle), '{"made":"up"}', ...lines.slice(middle)]),
    reorder: (path) => tamper(path, swap),
    foreign_writer: (path) => tamper(path, (lines) => [...lines, ...foreign]),
    truncated: (path) => truncateSync(path, statSync(path).size - 2000),
    rolled_back: (path) => tamper(path, (lines) => lines.slice(0, checkpoint + 1)),
  };
  for (const [kind, change] of Object.entries(kinds)) {
    const copy = join(copies, kind);
    cpSync(state, copy, { recursive: true, filter: (from) => !from.endsWith('.sock') });
    change(join(copy, name));
    const { code, report } = await verify(copy, keys);
    expect([kind, code, report.findings[0]?.kind]).toEqual([kind, 1, kind]);
  }
}

/** Calls of every kind in turns on the replicas, with replays, other networks and revocations. `done`: ids of what went through. */
async function mixedCalls(cluster: Cluster, replicas: () => Replica[], count: number, done: string[]): Promise<void> {
  const all = replicas();
  // One client behaves, and the other is replayed and comes from two networks.
  const keys = [cluster.key, cluster.addClient(`client-${count}-${done.length}`)];
  const seen = () => Promise.all(all.map((replica) => cluster.rpc(replica, 'ping', {}, { key: keys[1] as string })));
  await until(async () => (await seen()).every(({ status }) => status === 200), 'the client to be known');
  const handles = await Promise.all(all.flatMap((to) => keys.map((key) => cluster.initialize(to, { key }))));
  for (let i = 0; i < count; i += 5) {
    await Promise.all(
      Array.from({ length: 5 }, async (_, k) => {
        const n = i + k;
        const at = n % all.length;
        const [replica, bad] = [all[at] as Replica, n % 5 === 4];
        const more = {
          key: keys[bad ? 1 : 0] as string,
          handle: handles[2 * at + (bad ? 1 : 0)] as string,
          id: n % 15 === 14 ? 4 : n,
          ip: n % 25 === 24 ? ELSEWHERE : HOME,
        };
        const [tool, args] = [
          ['stock_get', { sku: 'A-1' }],
          ['stock_list', {}],
          ['stock_get', { sku: 'B-2' }],
          ...[n % 40 === 3 ? ['no_such_tool', {}] : ['order_list', {}]],
          ...[n % 40 === 4 ? ['stock_get', { sku: 7 }] : ['stock_get', { sku: 'C-3' }]],
        ][n % 5] as [string, object];
        const answer: Answer = await cluster.call(replica, tool, args, more);
        if (answer.body?.result && !answer.body.result.isError) done.push(decisionId(answer));
      }),
    );
    if (i % 60 === 55)
      await fetch(new URL('/revocations', (all[0] as Replica).adminUrl), {
        method: 'POST',
        headers: { authorization: `Bearer ${cluster.adminToken}` },
        body: JSON.stringify({ all: true, reason: 'a drill' }),
      });
  }
}

describe('R-61: a log of the version before', () => {
  it('is read as such, and nobody calls it tampered with', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-before-'));
    const old = join(import.meta.dirname, 'before-the-chain.jsonl');
    expect(recordsOf(old).map(({ type }) => type)).toContain('decision');
    const keys = join(dir, 'keys.json');
    await run(['audit', 'keys', 'init', '--file', keys]);
    const exported = await run(['audit', 'keys', 'export', '--file', keys]);
    writeFileSync(join(dir, 'public.json'), exported.stdout);
    const verified = await run(['audit', 'verify', old, '--keys', join(dir, 'public.json')]);
    expect(verified.code).toBe(3);
    expect(verified.stdout).toMatch(/no chain; a version before has written it/);
    rmSync(dir, { recursive: true });
  });
});
