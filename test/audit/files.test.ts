// How a log goes on: over restarts, in files of its own rotation, within a budget, after a write that failed half-way.
import { execFileSync } from 'node:child_process';
import fs, {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createDelivery } from '../../src/audit/chain/deliver.ts';
import { openHead } from '../../src/audit/chain/head.ts';
import { createSigningKey, openSigningKeys, readSigningKeys, writeSigningKeys } from '../../src/audit/chain/keys.ts';
import type { AuditLog } from '../../src/audit/log/log.ts';
import { createRotation } from '../../src/audit/log/rotation.ts';
import { openWriter } from '../../src/audit/log/writer.ts';
import { exportKeys } from '../../src/audit/read/public-keys.ts';
import { verifyLogs } from '../../src/audit/read/verify.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { recordsOf, wholeRecordsOf } from '../support/decision-log.ts';
import { type Loose, until } from '../support/harness.ts';
import { type OpenLogOptions, openLogIn } from '../support/open-log.ts';
import { linesOf, tamper } from '../support/tampering.ts';

let dir: string;
let clock: TestClock;
let told: Loose[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-files-'));
  clock = createTestClock();
  told = [];
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true, force: true });
});

const file = () => join(dir, 'events.jsonl');
const head = () => join(dir, 'audit-head.json');
const open = (options: OpenLogOptions = {}) =>
  openLogIn(dir, {
    clock,
    onTold: (log, { event, fields }) => log === 'events' && told.push({ event, ...fields }),
    ...options,
  });
const write = async (log: AuditLog, count: number, more: object = {}) => {
  for (let n = 0; n < count; n += 1)
    await log.event({ type: 'event', event: 'test', timestamp: new Date(clock.now()).toISOString(), n, ...more });
};
const own = () => told.map(({ event, cause }) => (cause === undefined ? event : `${event} ${cause}`));
const files = () => readdirSync(dir).filter((name) => name.startsWith('events'));
const verify = (anchor = head()) => {
  const keys = join(dir, 'public.json');
  writeFileSync(keys, JSON.stringify(exportKeys(readSigningKeys(join(dir, 'audit-keys.json')))));
  return verifyLogs({ files: files().map((name) => join(dir, name)), keys: [keys], anchors: [anchor], log: 'events' });
};
const seqs = (path = file()) => recordsOf(path).map(({ chain }) => chain.seq);

describe('R-61, R-90: a start', () => {
  const session = async (count = 3) => {
    const log = open();
    await write(log, count);
    await log.close();
    told = [];
  };

  it('goes on behind the last line of the one before', async () => {
    await session();
    await session();
    expect(own()).toEqual([]);
    expect(seqs()).toEqual(Array.from({ length: seqs().length }, (_, i) => i + 1));
  });

  it('finds a log that was moved while nobody wrote, and one that was removed', async () => {
    await session();
    renameSync(file(), `${file()}.1`);
    const log = open();
    await write(log, 1);
    expect(own()).toEqual(['log_rotated moved']);
    expect(seqs()[0]).toBe((seqs(`${file()}.1`).at(-1) as number) + 1);
    await log.close();
    expect(await verify()).toMatchObject({ verdict: 'whole', gaps: [] });
    rmSync(file());
    told = [];
    await open().close();
    expect(own()).toEqual(['log_gap absent']);
    expect((await verify()).gaps).toMatchObject([{ cause: 'absent', missing: 4 }]);
  });

  it.each([
    ['cut', (path: string) => truncateSync(path, fs.statSync(path).size - 400), ['log_gap shorter']],
    ['emptied', (path: string) => truncateSync(path, 0), ['log_gap absent']],
    ['replaced', (path: string) => writeFileSync(path, 'something else\n'), ['log_gap replaced']],
  ])('finds one that was %s, and gives no number twice', async (_what, change, expected) => {
    await session(9);
    const last = seqs().at(-1) as number;
    change(file());
    const log = open();
    expect(own().filter((event) => event !== 'log_torn')).toEqual(expected);
    await write(log, 1);
    await log.close();
    expect(linesOf(file()).filter((line) => line.includes(`"seq":${last + 1},`))).toHaveLength(1);
  });

  it('finds one that was changed behind its last checkpoint, and begins another chain', async () => {
    const log = open({ checkpoint: { records: 100, seconds: 3600 } });
    await write(log, 5, { by: 'alice' });
    // As a process that is killed leaves it: nothing is sealed.
    const left = readFileSync(file());
    const kept = readFileSync(head());
    await log.close();
    writeFileSync(file(), left);
    writeFileSync(head(), kept);
    tamper(file(), (lines) => lines.map((line) => line.replace('"n":2,"by":"alice"', '"n":2,"by":"mallory"')));
    told = [];
    const again = open();
    await write(again, 2);
    await again.close();
    expect(own()).toEqual(['log_started changed', 'log_gap changed']);
    expect((await verify()).findings).toMatchObject([{ kind: 'damage' }]);
  });

  it('goes on behind a tail that was not sealed, behind a torn line, and behind one without its end', async () => {
    const log = open();
    await write(log, 5);
    const left = readFileSync(file());
    const kept = readFileSync(head());
    await log.close();
    for (const [end, expected] of [
      [left.length, []],
      [left.length - 1, []],
      [left.length - 20, ['log_torn']],
    ] as const) {
      writeFileSync(file(), left.subarray(0, end));
      writeFileSync(head(), kept);
      told = [];
      const again = open();
      await write(again, 2);
      await again.close();
      expect(own()).toEqual(expected);
      expect(await verify()).toMatchObject({ verdict: 'whole', findings: [] });
    }
  });

  it('without its state folder begins another chain, and says what was there', async () => {
    await session();
    rmSync(head());
    await session();
    const started = recordsOf(file()).filter(({ event }) => event === 'log_started');
    expect(started).toMatchObject([{ cause: 'new' }, { cause: 'state_lost', before_seq: 6 }]);
    expect((await verify()).findings).toEqual([]);
  });

  it('with a head that cannot be read is refused, with the mend', () => {
    writeFileSync(head(), '{');
    expect(() => open()).toThrow(/audit-head.json cannot be read.*restore it/);
    rmSync(head());
    writeFileSync(join(dir, 'audit-keys.json'), '{}', { mode: 0o600 });
    expect(() => open()).toThrow(/audit-keys.json is not a file of keys/);
  });
});

describe('R-61: rotation of its own', () => {
  it('seals a file that is full, and begins another; nothing is removed', async () => {
    const log = open({ rotate: { size_mb: 0.01 } });
    await write(log, 60, { text: 'x'.repeat(400) });
    await log.close();
    expect(files().length).toBeGreaterThan(3);
    for (const name of files().filter((name) => name !== 'events.jsonl'))
      expect(recordsOf(join(dir, name)).at(-1)).toMatchObject({ type: 'checkpoint', cause: 'rotated' });
    expect(own()).toContain('log_rotated size');
    expect(await verify()).toMatchObject({ verdict: 'whole', findings: [], gaps: [] });
  });

  it('seals a file that is old, also when nothing is written, and over a restart', async () => {
    const log = open({ rotate: { age_hours: 24 } });
    await write(log, 2);
    clock.advance(86_400);
    await until(() => files().length === 2, 'the log to be rotated');
    await log.close();
    clock.advance(3600 * 20);
    const again = open({ rotate: { age_hours: 24 } });
    await write(again, 1);
    expect(files()).toHaveLength(2);
    clock.advance(3600 * 5);
    await write(again, 1);
    await again.close();
    expect(files()).toHaveLength(3);
    expect(await verify()).toMatchObject({ verdict: 'whole' });
  });

  const budget = { size_mb: 0.01, budget_mb: 0.05, keep_at_least: { days: 7 } };

  it('within a budget removes what is old enough, and says what it was', async () => {
    const log = open({ rotate: budget });
    await write(log, 60, { text: 'x'.repeat(400) });
    for (const name of files())
      utimesSync(join(dir, name), new Date(clock.now() - 9 * 86_400_000), new Date(clock.now() - 9 * 86_400_000));
    await write(log, 200, { text: 'x'.repeat(400) }).catch(() => {});
    expect(own()).toContain('log_removed');
    await log.close();
    const report = await verify();
    expect(report.findings).toEqual([]);
    expect(report.gaps.every(({ cause }) => cause === 'removed' || cause === 'write_failed')).toBe(true);
  });

  it('refuses rather than remove what must be kept, and goes on when there is room', async () => {
    const onFailing = vi.fn();
    const log = open({ rotate: budget, onFailing });
    const alert = () =>
      log.alert({
        type: 'alert',
        timestamp: '2026-11-23T09:00:00.000Z',
        decision_id: 'd-1',
        text: 'x'.repeat(400),
      } as never);
    let refused: Error | undefined;
    for (let i = 0; i < 200 && !refused; i += 1) await alert().catch((error) => (refused = error));
    expect(refused?.message).toMatch(/is their budget/);
    expect(onFailing).toHaveBeenCalledWith('events', 'budget');
    expect(files().length).toBeGreaterThan(3);
    expect(log.failure).toMatch(/budget/);
    // Somebody has moved the oldest elsewhere.
    const [oldest] = files().sort();
    renameSync(join(dir, oldest as string), join(dir, 'kept-elsewhere.jsonl'));
    await until(() => log.failure === undefined, 'the log to be written again');
    await log.close();
  });
});

/** While it runs, no file of this process may grow beyond `bytes`: what is written stops in the middle, as on a full disk. */
async function withFullDisk<T>(bytes: number, work: () => Promise<T>): Promise<T> {
  const limit = (soft: string) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`]);
  limit(String(bytes));
  try {
    return await work();
  } finally {
    limit('unlimited');
  }
}

describe.runIf(process.platform === 'linux')('R-60: a write that stops in the middle of a line', () => {
  const alerting = (log: AuditLog) => (id: string) =>
    log.alert({
      type: 'alert',
      timestamp: '2026-11-23T09:00:00.000Z',
      decision_id: id,
      text: 'x'.repeat(200),
    } as never);

  it('goes on behind the last whole line, and the gap names what was refused', async () => {
    const log = open();
    await write(log, 2);
    const alert = alerting(log);
    const results = await withFullDisk(fs.statSync(file()).size + 700, () =>
      Promise.allSettled([alert('a'), alert('b'), alert('c'), write(log, 1, { kept: true })]),
    );
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'fulfilled']);
    expect(log.failure).toBe('the decision log cannot be written (EFBIG)');
    await until(() => log.failure === undefined, 'the log to be written again');
    await log.close();
    const records = wholeRecordsOf(file());
    const gaps = records.filter(({ event }) => event === 'log_gap');
    expect(gaps[0]).toMatchObject({ cause: 'write_failed', code: 'EFBIG' });
    expect(gaps.flatMap(({ refused }) => refused)).toEqual(['a', 'b', 'c']);
    expect(gaps.flatMap(({ on_disk }) => on_disk ?? [])).toEqual(['a']);
    expect(gaps.flatMap(({ torn_sha256 }) => torn_sha256 ?? []).length).toBeGreaterThan(0);
    // What tells of something that has happened is written later, once, and no refused alert is.
    expect(records.filter(({ kept }) => kept)).toHaveLength(1);
    expect(records.filter(({ type }) => type === 'alert').map(({ decision_id }) => decision_id)).toEqual(['a']);
    expect(told.filter(({ event }) => event === 'log_gap')).toHaveLength(gaps.length);
    expect(await verify()).toMatchObject({ verdict: 'whole', findings: [] });
  });

  it('again and again, at any byte: each fragment is accounted for, and nothing is there twice', async () => {
    const log = open();
    await write(log, 1);
    const alert = alerting(log);
    const told: Record<string, string> = {};
    for (let room = 0; room < 900; room += 37)
      await withFullDisk(fs.statSync(file()).size + room, async () => {
        for (const n of [0, 1]) {
          const id = `${room}-${n}`;
          told[id] = await alert(id).then(
            () => 'written',
            () => 'refused',
          );
        }
        await write(log, 1, { room });
      });
    await until(() => log.failure === undefined, 'the log to be written again');
    await log.close();
    const records = wholeRecordsOf(file());
    const refused = records.flatMap(({ refused: ids }) => ids ?? []);
    const onDisk = records.flatMap(({ on_disk: ids }) => ids ?? []);
    const written = records.filter(({ type }) => type === 'alert').map(({ decision_id }) => decision_id);
    for (const [id, what] of Object.entries(told)) {
      expect([id, refused.includes(id)]).toEqual([id, what === 'refused']);
      expect([id, written.filter((each) => each === id).length]).toEqual([
        id,
        what === 'written' || onDisk.includes(id) ? 1 : 0,
      ]);
    }
    expect(records.filter(({ room }) => room !== undefined)).toHaveLength(25);
    expect(await verify()).toMatchObject({ verdict: 'whole', findings: [] });
  });
});

it('R-60: after a sync that failed nobody knows what is on the disk: the file is put aside, and its numbers are not given again', async () => {
  let [fails, failures] = [false, 0];
  const head1 = openHead(head());
  const keys = openSigningKeys({ file: join(dir, 'audit-keys.json'), clock, onProblem: () => {} });
  const record = (fields: object) =>
    JSON.stringify({
      level: 'info',
      ...fields,
      timestamp: '2026-11-23T09:00:00.000Z',
      labels: { replica: head1.replica },
    });
  const writer = openWriter({
    ...{ log: 'events', file: file(), durability: 'os', to: 'both', head: head1, keys, now: () => clock.now() },
    // What a disk that is dying answers to a sync; no such disk can be had for a test.
    stdout: () => (fails ? Promise.reject(Object.assign(new Error(), { code: 'EIO' })) : Promise.resolve()),
    every: { records: 1000, seconds: 3600 },
    rotation: createRotation({}, () => clock.now()),
    record: (cause, { id }) => record({ message: 'checkpoint', type: 'checkpoint', log: 'events', cause, key: id }),
    event: ({ event, fields }) => record({ message: 'event', type: 'event', event, ...fields }),
    onTold: ({ event, fields }) => told.push({ event, ...fields }),
    onFailing: (code) => {
      if (code !== undefined) failures += 1;
    },
    onProblem: () => {},
    onCheckpoint: () => {},
  });
  const alert = (id: string) => writer.append([record({ message: 'alert', type: 'alert', decision_id: id })]);
  await alert('a');
  fails = true;
  await expect(alert('b')).rejects.toMatchObject({ code: 'EIO' });
  fails = false;
  await alert('c');
  await writer.close();
  keys.close();
  expect(failures).toBe(1);
  expect(files().some((name) => name.includes('-unsynced'))).toBe(true);
  const gap = told.find(({ event }) => event === 'log_gap');
  expect(gap).toMatchObject({ cause: 'sync_failed', code: 'EIO', refused: ['b'] });
  expect(seqs()[0]).toBe(gap.to_seq + 1);
  expect(await verify()).toMatchObject({ verdict: 'whole', findings: [] });
  // If the disk has lost what was not synced, that is what the gap says.
  tamper(join(dir, files().find((name) => name.includes('-unsynced')) as string), (lines) => lines.slice(0, -1));
  expect(await verify()).toMatchObject({ verdict: 'whole', gaps: [{ cause: 'sync_failed', missing: 1 }] });
});

describe('R-60, R-90: what would keep a log from going on', () => {
  const alert = (log: AuditLog, id: string) =>
    log.alert({ type: 'alert', timestamp: '2026-11-23T09:00:00.000Z', decision_id: id } as never);

  it('a file that was cut and moved away: the next record stands in a new one', async () => {
    const log = open();
    await write(log, 3);
    truncateSync(file(), fs.statSync(file()).size - 50);
    renameSync(file(), join(dir, 'events-taken.jsonl'));
    await alert(log, 'a');
    expect(own()).toContain('log_gap shorter');
    await log.close();
    expect(recordsOf(file()).some(({ decision_id }) => decision_id === 'a')).toBe(true);
  });

  it.runIf(process.platform === 'linux')(
    'a write that stops between a line and its end: the number is not given again',
    async () => {
      const log = open();
      await write(log, 1);
      const before = fs.statSync(file()).size;
      await alert(log, 'first');
      const length = fs.statSync(file()).size - before;
      await withFullDisk(fs.statSync(file()).size + length - 1, () => alert(log, 'other').catch(() => {}));
      await until(() => log.failure === undefined, 'the log to be written again');
      await log.close();
      expect(seqs()).toEqual(Array.from({ length: seqs().length }, (_, i) => i + 1));
      expect(await verify()).toMatchObject({ verdict: 'whole', findings: [] });
    },
  );

  it('a process that was killed in the first write behind a rotation', async () => {
    const log = open({ rotate: { size_mb: 0.003 } });
    await write(log, 9, { text: 'x'.repeat(400) });
    const numberOf = (name: string) => Number(/-(\d+)\.jsonl$/.exec(name)?.[1] ?? 0);
    const aside = files().filter((name) => name !== 'events.jsonl');
    aside.sort((a, b) => numberOf(a) - numberOf(b));
    const kept = readFileSync(head());
    const torn = readFileSync(file()).subarray(0, 60);
    await log.close();
    expect(aside.length).toBeGreaterThan(0);
    // As it was when the last file had been sealed and the new one begun.
    const sealed = recordsOf(join(dir, aside.at(-1) as string)).at(-1);
    const line = linesOf(join(dir, aside.at(-1) as string)).at(-1) as string;
    writeFileSync(head(), JSON.stringify({ ...JSON.parse(kept.toString()), checkpoints: { events: line } }));
    writeFileSync(file(), torn);
    told = [];
    const again = open();
    await write(again, 2);
    await again.close();
    expect(own()).toEqual(['log_rotated moved', 'log_torn']);
    expect(sealed.cause).toBe('rotated');
    expect(await verify()).toMatchObject({ verdict: 'whole', findings: [] });
  });

  it('a budget removes nothing that is not the log’s own, and says what it has removed although there is no room', async () => {
    const stale = new Date(clock.now() - 99 * 86_400_000);
    const junk = ['events-20200101T000000Z-1.jsonl.gz', 'events-20200101T000000Z-2-found.jsonl', 'events-mine.jsonl'];
    for (const name of junk) {
      writeFileSync(join(dir, name), 'x'.repeat(70_000));
      utimesSync(join(dir, name), stale, stale);
    }
    const log = open({ rotate: { size_mb: 0.01, budget_mb: 0.03, keep_at_least: { days: 7 } } });
    await write(log, 20, { text: 'x'.repeat(400) });
    const oldest = files()
      .filter((name) => /Z-\d+\.jsonl$/.test(name) && !junk.includes(name))
      .sort()[0] as string;
    utimesSync(join(dir, oldest), stale, stale);
    await write(log, 60, { text: 'x'.repeat(400) });
    expect(existsSync(join(dir, oldest))).toBe(false);
    expect(junk.every((name) => existsSync(join(dir, name)))).toBe(true);
    expect(own()).toContain('log_removed');
    await log.close();
  });
});

describe('R-61: keys', () => {
  it('rotate while it runs: the last checkpoint of one signs its time, and the next begins with the other', async () => {
    const log = open({ checkpoint: { records: 3, seconds: 3600 } });
    await write(log, 5);
    const path = join(dir, 'audit-keys.json');
    const keys = readSigningKeys(path);
    const next = createSigningKey(clock.now(), clock.now() + 30_000);
    writeSigningKeys(path, { ...keys, keys: [...keys.keys, next] });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await write(log, 2);
    clock.advance(31);
    await write(log, 5);
    await log.close();
    const signers = recordsOf(file()).flatMap(({ type, cause, key }) => (type === 'checkpoint' ? [[cause, key]] : []));
    const first = keys.keys[0]?.id;
    expect(signers.filter(([, key]) => key === first).at(-1)).toEqual(['key', first]);
    expect(signers.at(-1)).toEqual(['closed', next.id]);
    expect(await verify()).toMatchObject({ verdict: 'whole', findings: [] });
  });

  it('a checkpoint is made when nothing happens, too', async () => {
    const log = open({ checkpoint: { records: 1000, seconds: 1 } });
    await until(() => recordsOf(file()).filter(({ cause }) => cause === 'time').length >= 2, 'two checkpoints');
    await log.close();
  });

  it('each checkpoint is handed to a second file and to a command, and what fails is told once', async () => {
    const copy = join(dir, 'copy.jsonl');
    const taken = join(dir, 'taken');
    const problems: (string | undefined)[] = [];
    const delivery = createDelivery({
      file: copy,
      command: ['/bin/sh', '-c', `test ! -e ${join(dir, 'broken')} && cat >> ${taken}`],
      onProblem: (problem) => problems.push(problem),
    });
    const log = open({ checkpoint: { records: 2, seconds: 3600 }, onCheckpoint: delivery.deliver });
    await write(log, 6);
    await delivery.close();
    const lines = readFileSync(copy, 'utf8');
    expect(lines).toBe(readFileSync(taken, 'utf8'));
    expect(lines.split('\n').length).toBeGreaterThanOrEqual(3);
    writeFileSync(join(dir, 'broken'), '');
    await write(log, 6);
    await delivery.close();
    expect(problems).toEqual([expect.stringMatching(/sh ended with 1/)]);
    rmSync(join(dir, 'broken'));
    await log.close();
    await delivery.close();
    expect(problems).toEqual([expect.any(String), undefined]);
    // A copy that stands elsewhere is an anchor.
    expect(await verify(copy)).toMatchObject({ verdict: 'whole' });
  });
});
