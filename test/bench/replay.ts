// What a replay costs for each decision, beside reading the lines and evaluating the same inputs bare in the same run: on one core,
// and on all of them. The log is a chained one of real inputs.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readSigningKeys } from '../../src/audit/chain/keys.ts';
import { exportKeys } from '../../src/audit/read/public-keys.ts';
import { verifyLogs } from '../../src/audit/read/verify.ts';
import type { DecisionHead } from '../../src/audit/records.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { constant, JsonText } from '../../src/formats/json-text.ts';
import { replayLogs } from '../../src/policy/replay/replay.ts';
import { evaluatorOf } from '../../src/policy/versions/ask.ts';
import { loadVersion } from '../../src/policy/versions/load.ts';
import { openLogIn } from '../support/open-log.ts';
import { median, rounded, row, type Show } from './row.ts';

const EXAMPLE = join(PACKAGE_ROOT, 'examples', 'policy-repository');
const BARE = 'a decision, its line parsed and its input evaluated';
const ONE = 'a decision, verified and replayed on one core';
const ALL = 'a decision, verified and replayed on all cores';

/** A log of so many decisions, and the public keys for it. */
async function writeLog(dir: string, count: number): Promise<{ file: string; keys: string }> {
  const lines = gunzipSync(readFileSync(join(EXAMPLE, 'log', 'decisions.jsonl.gz')))
    .toString('utf8')
    .trim()
    .split('\n');
  const records = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'decision');
  const made = records.map(
    ({ level: _level, message: _message, form: _form, labels: _labels, chain: _chain, input, result, ...head }) => ({
      head: head as DecisionHead,
      body: { input: new JsonText(JSON.stringify(input)), result: constant(result) },
    }),
  );
  const log = openLogIn(dir);
  for (let at = 0; at < count; at += 500)
    await Promise.all(
      Array.from({ length: 500 }, (_, i) => made[(at + i) % made.length]).map(
        (one) => one && log.decided(one.head, one.body),
      ),
    );
  await log.close();
  const keys = join(dir, 'public.json');
  writeFileSync(keys, JSON.stringify(exportKeys(readSigningKeys(join(dir, 'audit-keys.json')))));
  return { file: join(dir, 'decisions.jsonl'), keys };
}

export async function replayRows(seconds: number, rounds: number, show: Show): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-replay-'));
  try {
    const { file, keys } = await writeLog(dir, Math.max(2000, seconds * 10_000));
    const version = { name: '', commit: undefined, place: { dir: join(EXAMPLE, 'policies') }, tests: undefined };
    const policy = await loadVersion({ ...version, named: (path) => path }, undefined);
    const cpu = async (work: () => unknown): Promise<{ cpu: number; wall: number }> => {
      const [began, before] = [performance.now(), process.cpuUsage()];
      await work();
      const { user, system } = process.cpuUsage(before);
      return { cpu: user + system, wall: performance.now() - began };
    };
    let decisions = 0;
    const bare = () => {
      const evaluator = evaluatorOf(policy);
      decisions = 0;
      for (const line of readFileSync(file, 'utf8').split('\n')) {
        const record = line === '' ? undefined : JSON.parse(line);
        if (record?.type !== 'decision') continue;
        evaluator.evaluate(record.input);
        decisions += 1;
      }
    };
    const replay = (threads: number) => async () => {
      await verifyLogs({ files: [file], keys: [keys], anchors: [], threads });
      const { same, compared } = await replayLogs({ files: [file], policy, threads });
      if (same !== compared || compared !== decisions) throw new Error('the log of the benchmark is decided otherwise');
    };
    const pairs: Record<'bare' | 'one' | 'all', { cpu: number; wall: number }>[] = [];
    for (let round = 0; round < rounds; round += 1)
      pairs.push({ bare: await cpu(bare), one: await cpu(replay(1)), all: await cpu(replay(availableParallelism())) });
    const { bare: alone, one, all } = median(pairs, (pair) => pair.one.cpu / pair.bare.cpu);
    const figures = ({ cpu: spent, wall }: { cpu: number; wall: number }) => ({
      ...{
        cpu_us_per_call: rounded(spent / decisions, 1),
        per_second: Math.round((decisions / wall) * 1000),
        calls: decisions,
      },
    });
    show(row(BARE, figures(alone)));
    show(row(ONE, { ...figures(one), ratio: rounded(one.cpu / alone.cpu), compared_to: BARE }));
    show(
      row(ALL, {
        ...figures(all),
        concurrency: availableParallelism(),
        ratio: rounded(all.cpu / alone.cpu),
        compared_to: BARE,
      }),
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
