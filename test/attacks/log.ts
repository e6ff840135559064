// Attacks on the decision log by somebody who can write its files, its folder or its disk.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigningKey, openSigningKeys, readSigningKeys, writeSigningKeys } from '../../src/audit/chain/keys.ts';
import { run } from '../support/cli.ts';
import { recordsOf } from '../support/decision-log.ts';
import { decisionId, reasons, until } from '../support/harness.ts';
import { openLogIn } from '../support/open-log.ts';
import type { Cluster, Replica } from '../support/replicas.ts';
import { linesOf, rechained, tamper } from '../support/tampering.ts';
import type { AttackGroup } from './attack.ts';

const LOG = 'decisions.jsonl';

/** A copy of what a replica has written, sealed, with the public keys and the anchor beside it. */
interface Evidence {
  dir: string;
  log: string;
  lines: string[];
  /** What the verifier says of the copy as it is now. */
  verdict(more?: { anchored?: boolean; files?: string[] }): Promise<string>;
  remove(): void;
}

/** Makes calls on a replica of its own, stops it and takes a copy of its logs. */
async function evidence(cluster: Cluster, calls = 12): Promise<Evidence> {
  const change = (yaml: string) => `${yaml}\naudit: { checkpoints: { records: 5, seconds: 60 } }\n`;
  const replica = await cluster.start({ change });
  for (let i = 0; i < calls; i += 1) await cluster.call(replica, 'stock_get', { sku: 'A-1' });
  await replica.stop();
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-evidence-'));
  cpSync(replica.state, dir, { recursive: true, filter: (from) => !from.endsWith('.sock') });
  const keys = join(dir, 'public.json');
  writeFileSync(keys, (await run(['audit', 'keys', 'export', '--file', join(dir, 'audit-keys.json')])).stdout);
  cpSync(join(dir, 'audit-head.json'), join(dir, 'anchor.json'));
  const log = join(dir, LOG);
  return {
    ...{ dir, log, lines: linesOf(log) },
    async verdict({ anchored = true, files = [log] } = {}) {
      const anchor = anchored ? ['--anchor', join(dir, 'anchor.json')] : [];
      const { stdout } = await run([
        'audit',
        'verify',
        ...files,
        '--keys',
        keys,
        ...anchor,
        '--log',
        'decisions',
        '--json',
      ]);
      const { verdict, findings } = JSON.parse(stdout);
      return findings[0] ? `${findings[0].kind}${findings[0].seq === null ? '' : ` ${findings[0].seq}`}` : verdict;
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** The place, counted from 1, of a decision in the middle. */
const middle = ({ lines }: Evidence): number => {
  const decisions = lines.flatMap((line, i) => (line.includes('"message":"decision"') ? [i + 1] : []));
  return decisions[Math.floor(decisions.length / 2)] as number;
};

export const logAttacks: AttackGroup = {
  name: 'log',
  attacks: [
    {
      id: 24,
      title: 'R-61: the log is edited, cut and reordered, and a line is put in',
      expected: 'whole; edit, delete, reorder, insert, each with the record; all decisions flipped: edit',
      async run(cluster) {
        const taken = await evidence(cluster);
        const at = middle(taken);
        const original = readFileSync(taken.log);
        const told: string[] = [];
        const first = await taken.verdict();
        const change = async (edit: (lines: string[]) => string[], expected: string) => {
          writeFileSync(taken.log, original);
          tamper(taken.log, edit);
          const said = await taken.verdict();
          told.push(said === expected ? (expected.split(' ')[0] as string) : `${said} instead of ${expected}`);
        };
        const swapped = (lines: string[]) => {
          const [one, two] = [lines[at - 1] as string, lines[at] as string];
          return [...lines.slice(0, at - 1), two, one, ...lines.slice(at + 1)];
        };
        await change((lines) => lines.map((l, i) => (i === at - 1 ? l.replace('allow', 'deny') : l)), `edit ${at}`);
        await change((lines) => lines.filter((_, i) => i !== at - 1), `delete ${at}`);
        await change(swapped, `reorder ${at + 1}`);
        await change((lines) => [...lines.slice(0, at), '{"type":"decision"}', ...lines.slice(at)], 'insert');
        writeFileSync(taken.log, original);
        tamper(taken.log, (lines) => lines.map((line) => line.replaceAll('"allow"', '"deny"')));
        const flipped = (await taken.verdict()).split(' ')[0];
        taken.remove();
        return `${first}; ${told.join(', ')}, each with the record; all decisions flipped: ${flipped}`;
      },
    },
    {
      id: 25,
      title: 'R-60, R-64: the disk of the log fills up in the middle of a line',
      expected: 'refused audit.unavailable, alert, gap with the decision; then calls go on without a restart; whole',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const limit = (soft: string) => execFileSync('prlimit', ['--pid', String(a.child.pid), `--fsize=${soft}:`]);
        const size = Math.max(...[LOG, 'events.jsonl'].map((name) => statSync(join(a.state, name)).size));
        limit(String(size + 700));
        const refused = await until(async () => {
          const answer = await cluster.call(a, 'stock_get', { sku: 'A-1' });
          return reasons(answer).includes('audit.unavailable') ? answer : undefined;
        }, 'a call to be refused');
        limit('unlimited');
        await until(
          async () => (await cluster.call(a, 'stock_get', { sku: 'A-1' })).body.result.isError !== true,
          'calls',
        );
        const alerted = await until(
          () => a.audit('alert').some((alert) => alert.reasons.includes('log.failing')),
          'the alert to be on record',
        );
        const gap = readFileSync(join(a.state, LOG), 'utf8').includes(`"refused":["`);
        const named = readFileSync(join(a.state, LOG), 'utf8').includes(decisionId(refused));
        const keys = join(cluster.dir, 'public-a.json');
        writeFileSync(
          keys,
          (await run(['audit', 'keys', 'export', '--file', join(a.state, 'audit-keys.json')])).stdout,
        );
        const logs = [LOG, 'events.jsonl'].map((name) => join(a.state, name));
        const { stdout } = await run([
          'audit',
          'verify',
          ...logs,
          '--keys',
          keys,
          '--anchor',
          join(a.state, 'audit-head.json'),
          '--json',
        ]);
        return `refused ${reasons(refused)}, ${alerted ? 'alert' : 'no alert'}, gap ${gap && named ? 'with' : 'without'} the decision; then calls go on without a restart; ${JSON.parse(stdout).verdict}`;
      },
    },
    {
      id: 61,
      title: 'R-61: the log is changed and linked anew, without a key, and with a later one',
      expected: 'edit; its checkpoints taken out: truncated; signed with a later key: resealed',
      async run(cluster) {
        const taken = await evidence(cluster);
        const at = middle(taken) - 1;
        const original = readFileSync(taken.log);
        const forged = (lines: string[]) => lines.map((l, i) => (i === at ? l.replace('"allow"', '"deny"') : l));
        tamper(taken.log, (lines) => rechained(forged(lines), at));
        const without = (await taken.verdict()).split(' ')[0];
        writeFileSync(taken.log, original);
        tamper(taken.log, (lines) =>
          rechained(
            forged(lines).filter((line, i) => i <= at || !line.includes('"signature"')),
            at,
          ),
        );
        const taken_out = (await taken.verdict()).split(' ')[0];
        const path = join(taken.dir, 'audit-keys.json');
        const keys = readSigningKeys(path);
        const tomorrow = Date.now() + 86_400_000;
        const later = createSigningKey(tomorrow, tomorrow);
        writeSigningKeys(path, { ...keys, keys: [...keys.keys, later] });
        const clock = { now: () => tomorrow };
        const key = openSigningKeys({ file: path, clock, onProblem: () => {} }).present;
        const publicKeys = join(taken.dir, 'public.json');
        writeFileSync(publicKeys, (await run(['audit', 'keys', 'export', '--file', path])).stdout);
        writeFileSync(taken.log, original);
        const signedBy = (line: string) => line.replace(/"key":"[0-9a-f]{16}"/, `"key":"${later.id}"`);
        tamper(taken.log, (lines) =>
          rechained(
            forged(lines).map((line, i) => (i < at ? line : signedBy(line))),
            at,
            key,
          ),
        );
        const resealed = (await taken.verdict({ anchored: false })).split(' ')[0];
        taken.remove();
        return `${without}; its checkpoints taken out: ${taken_out}; signed with a later key: ${resealed}`;
      },
    },
    {
      id: 62,
      title: 'R-61: the state folder is copied and written by two; lines of another writer are put in',
      expected: 'fork; foreign_writer',
      async run(cluster) {
        const taken = await evidence(cluster, 4);
        const [a] = cluster.replicas as [Replica];
        const copy = join(cluster.dir, 'copied');
        cpSync(taken.dir, copy, { recursive: true });
        // Each of the two goes on by itself, as a process on a copied folder does.
        for (const [state, name] of [
          [taken.dir, 'one'],
          [copy, 'two'],
        ] as const) {
          const log = openLogIn(state, { clock: { now: () => Date.now() }, labels: { id: name } });
          await log.finished({ type: 'outcome', timestamp: new Date().toISOString(), decision_id: name } as never);
          await log.close();
        }
        const fork = (await taken.verdict({ anchored: false, files: [taken.log, join(copy, LOG)] })).split(' ')[0];
        appendFileSync(taken.log, readFileSync(join(a.state, LOG)));
        const foreign = (await taken.verdict({ anchored: false })).split(' ')[0];
        taken.remove();
        return `${fork}; ${foreign}`;
      },
    },
    {
      id: 63,
      title: 'R-61: the end of the log is cut off; the log and all else are put back to an older state',
      expected: 'truncated; rolled_back; without an anchor: to_checkpoint',
      async run(cluster) {
        const taken = await evidence(cluster);
        const original = readFileSync(taken.log);
        truncateSync(taken.log, original.length - 3000);
        const cut = (await taken.verdict()).split(' ')[0];
        writeFileSync(taken.log, original);
        const checkpoint = taken.lines.findLastIndex((l, i) => i < taken.lines.length - 2 && l.includes('"signature"'));
        tamper(taken.log, (lines) => lines.slice(0, checkpoint + 1));
        const back = (await taken.verdict()).split(' ')[0];
        const open = await taken.verdict({ anchored: false });
        taken.remove();
        return `${cut}; ${back}; without an anchor: ${open}`;
      },
    },
    {
      id: 64,
      title: 'R-90: the log is removed, moved away with another in its place, and cut under a running connector',
      expected: 'unlinked, replaced, shorter; each call on record before it goes on, and an alert',
      async run(cluster) {
        const replica = await cluster.start();
        const log = join(replica.state, LOG);
        const causes: string[] = [];
        let all = true;
        for (const attack of [
          () => unlinkSync(log),
          () => {
            renameSync(log, join(replica.state, 'away.jsonl'));
            writeFileSync(log, '{"type":"decision","forged":true}\n', { mode: 0o600 });
          },
          () => truncateSync(log, 50),
        ]) {
          await cluster.call(replica, 'stock_get', { sku: 'A-1' });
          attack();
          const answer = await cluster.call(replica, 'stock_get', { sku: 'A-1' });
          const records = recordsOf(log);
          all &&= records.some((record) => record.decision_id === decisionId(answer) && record.type === 'decision');
          causes.push(records.find(({ event }) => event === 'log_gap')?.cause ?? 'no gap');
        }
        const alerted = await until(
          () => replica.audit('alert').some((alert) => alert.reasons.includes('log.gap')),
          'the alert to be on record',
        );
        const kept = readdirSync(replica.state).filter((name) => /-(cut|found)\.jsonl$/.test(name)).length;
        await replica.stop();
        return `${causes.join(', ')}; ${all && kept === 2 ? 'each call on record before it goes on' : 'a call is missing'}, and ${alerted ? 'an alert' : 'no alert'}`;
      },
    },
  ],
};
