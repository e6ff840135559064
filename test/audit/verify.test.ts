// what somebody does to a log is named, by kind and by record.
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashOf, linked } from '../../src/audit/chain/chain.ts';
import { createSigningKey, openSigningKeys, readSigningKeys, writeSigningKeys } from '../../src/audit/chain/keys.ts';
import type { AuditLog } from '../../src/audit/log/log.ts';
import type { Report } from '../../src/audit/read/findings.ts';
import { exportKeys, keyObjects } from '../../src/audit/read/public-keys.ts';
import { joined } from '../../src/audit/read/scan/join.ts';
import { Scanner } from '../../src/audit/read/scan/scan.ts';
import { judge, verifyLogs } from '../../src/audit/read/verify.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { openLogIn } from '../support/open-log.ts';
import { linesOf, rechained, recordOf, tamper, writeLines } from '../support/tampering.ts';

let dir: string;
let clock: TestClock;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-verify-'));
  clock = createTestClock();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const file = () => join(dir, 'events.jsonl');
const publicKeys = (of = dir) => {
  const path = join(of, 'public.json');
  writeFileSync(path, JSON.stringify(exportKeys(readSigningKeys(join(of, 'audit-keys.json')))));
  return path;
};
/** Writes so many records, and closes the log unless it is to be left as a crash leaves it. */
async function write(count: number, { in: at = dir, records = 4, from = 0 } = {}): Promise<void> {
  const log = openLogIn(at, { clock, checkpoint: { records, seconds: 3600 } });
  for (let n = from; n < from + count; n += 1) await one(log, n);
  await log.close();
}
const one = (log: AuditLog, n: number): Promise<void> => {
  clock.advance(1);
  const timestamp = new Date(clock.now()).toISOString();
  return log.event({ type: 'event', event: 'test', timestamp, n, by: 'alice' });
};
const verify = (files: readonly string[] = [file()], anchors: readonly string[] = [], keys = [publicKeys()]) =>
  verifyLogs({ files, keys, anchors, log: 'events' });
const head = () => join(dir, 'audit-head.json');
const kinds = ({ findings }: Report) => findings.map(({ kind }) => kind);
/** The line of the record with this number. */
const lineWith = (n: number) => linesOf(file()).findIndex((line) => line.includes(`"n":${n},`));
const keyOf = (at = dir) => openSigningKeys({ file: join(at, 'audit-keys.json'), clock, onProblem: () => {} }).present;

describe('R-61: a log that nobody has touched', () => {
  it('is whole against an anchor, and without one as far as it can be judged', async () => {
    await write(12);
    expect(await verify([file()], [head()])).toMatchObject({ verdict: 'whole', findings: [], gaps: [] });
    const report = await verify();
    expect(report).toMatchObject({ verdict: 'to_checkpoint', findings: [] });
    expect(report.chains).toMatchObject([{ log: 'events', from_seq: 1, sealed: true, anchored: false }]);
  });

  it('goes on over restarts, and a process that is killed leaves a tail that no checkpoint signs yet', async () => {
    await write(5);
    await write(5, { from: 5 });
    const log = openLogIn(dir, { clock });
    for (const n of [10, 11, 12]) await one(log, n);
    const report = await verify([file()], [head()]);
    expect(report).toMatchObject({ verdict: 'whole', findings: [] });
    expect(report.chains).toHaveLength(1);
    expect(report.chains[0]?.to_seq).toBe((report.chains[0]?.signed_to ?? 0) + 3);
    await log.close();
  });

  it('is read packed, in parts, from any checkpoint on, and in files that overlap', async () => {
    await write(40);
    const lines = linesOf(file());
    const packed = join(dir, 'packed.gz');
    writeFileSync(packed, gzipSync(readFileSync(file())));
    expect(await verify([packed], [head()])).toMatchObject({ verdict: 'whole', findings: [] });
    const starts = lines.flatMap((line, i) => (i > 0 && line.includes('"type":"checkpoint"') ? [i] : []));
    expect(starts.length).toBeGreaterThan(5);
    for (const start of starts) {
      const later = join(dir, 'later.jsonl');
      writeLines(later, lines.slice(start));
      const report = await verify([later], [head()]);
      expect(report).toMatchObject({ verdict: 'whole', findings: [] });
      expect(report.notes.join()).toContain(`begins with record ${start + 1}`);
      expect(await verify([later, packed], [head()])).toMatchObject({ verdict: 'whole', findings: [] });
    }
  });

  it('is read in any parts on any number of threads with the same result', async () => {
    await write(60);
    const keys = exportKeys(readSigningKeys(join(dir, 'audit-keys.json'))).keys;
    const bytes = readFileSync(file());
    const scan = (from: number, to: number) => {
      const scanner = new Scanner(keyObjects(keys));
      scanner.feed(bytes.subarray(from, to));
      return scanner.end();
    };
    const ends = linesOf(file()).map(
      (
        (at) => (line: string) =>
          (at += Buffer.byteLength(line) + 1)
      )(0),
    );
    const whole = scan(0, bytes.length);
    for (const count of [2, 3, 7, ends.length]) {
      const cuts = Array.from({ length: count }, (_, i) => ends[Math.floor(((i + 1) * ends.length) / count) - 1] ?? 0);
      expect(joined(cuts.map((to, i) => scan(cuts[i - 1] ?? 0, to)))).toEqual(whole);
    }
    expect(
      await verifyLogs({ files: [file()], keys: [publicKeys()], anchors: [head()], log: 'events', threads: 2 }),
    ).toMatchObject({
      verdict: 'whole',
      lines: whole.lines,
      bytes: bytes.length,
    });
  });

  it('of a version without a chain is read as such, alone and at the beginning of a log', async () => {
    const old = Array.from({ length: 5 }, (_, n) => JSON.stringify({ level: 'info', message: 'event', n }));
    writeLines(file(), old);
    await write(0, { in: join(dir, 'other') });
    expect(await verify([file()], [], [publicKeys(join(dir, 'other'))])).toMatchObject({
      verdict: 'unchained',
      findings: [],
    });
    await write(5);
    const report = await verify([file()], [head()]);
    expect(report).toMatchObject({ verdict: 'whole', findings: [] });
    expect(report.notes.join()).toContain('first 5 lines are of a version without a chain');
    tamper(file(), (lines) => [old[0] as string, ...lines]);
    expect(kinds(await verify())).toEqual(['insert']);
  });
});

describe('R-61: tampering is named', () => {
  it('edit: a value that was changed, with the record', async () => {
    await write(12);
    tamper(file(), (lines) => lines.map((line) => (line.includes('"n":5,') ? line.replace('alice', 'mallory') : line)));
    const at = lineWith(5);
    expect((await verify()).findings).toMatchObject([{ kind: 'edit', line: at + 1, seq: at + 1 }]);
  });

  it('edit: also where all that follows was linked anew, since nobody can sign it', async () => {
    await write(12);
    const at = lineWith(5);
    tamper(file(), (lines) =>
      rechained(
        lines.map((line) => line.replace(/"n":5,"by":"alice"/, '"n":5,"by":"mallory"')),
        at,
      ),
    );
    const [first] = (await verify()).findings;
    expect(first).toMatchObject({ kind: 'edit' });
    expect(first?.seq).toBeLessThanOrEqual(at + 1);
    // Also with the checkpoints taken out: then nothing is signed that follows, and the anchor says how far it went.
    tamper(file(), (lines) =>
      rechained(
        lines.filter((line, i) => i < at || !line.includes('"signature"')),
        at,
      ),
    );
    expect(await verify()).toMatchObject({ verdict: 'to_checkpoint' });
    expect(kinds(await verify([file()], [head()]))).toEqual(['truncated']);
  });

  it('delete: in the middle and at the beginning, one record or many', async () => {
    for (const [from, count] of [
      [7, 1],
      [6, 8],
      [0, 3],
      [0, 9],
    ] as const) {
      rmSync(dir, { recursive: true });
      await write(20);
      tamper(file(), (lines) => lines.filter((_, i) => i < from || i >= from + count));
      expect((await verify()).findings).toMatchObject([{ kind: 'delete' }]);
    }
    // A log may be read from any checkpoint on, so what stood before one is said and not judged.
    rmSync(dir, { recursive: true });
    await write(20);
    tamper(file(), (lines) => lines.slice(1));
    expect((await verify()).notes.join()).toContain('begins with record 2 of its chain');
  });

  it('insert: a line that was made up, and a copy of one', async () => {
    await write(12);
    const lines = linesOf(file());
    const with9 = (line: string) => [...lines.slice(0, 9), line, ...lines.slice(9)];
    for (const line of ['{"type":"decision"}', 'text', '', lines[4] as string, `${recordOf(lines[9] as string)}`]) {
      writeLines(file(), with9(line));
      expect((await verify()).findings).toMatchObject([{ kind: 'insert', line: 10 }]);
    }
    // One that is linked by somebody who knows how stands beside the record with its number.
    writeLines(file(), with9(rechained(with9('{"timestamp":"2026-11-23T09:00:00.000Z"}'), 9)[9] as string));
    expect(kinds(await verify())).toEqual(['insert']);
  });

  it('reorder: two records that have changed places', async () => {
    await write(12);
    tamper(file(), (lines) => [...lines.slice(0, 7), lines[8] as string, lines[7] as string, ...lines.slice(9)]);
    expect((await verify()).findings).toMatchObject([{ kind: 'reorder' }]);
  });

  it('fork: a state folder that was copied and written by two', async () => {
    await write(6);
    const copy = mkdtempSync(join(tmpdir(), 'sallyport-copy-'));
    cpSync(dir, copy, { recursive: true });
    const common = linesOf(file()).length;
    await write(3, { from: 6 });
    await write(4, { from: 100, in: copy });
    const report = await verify([file(), join(copy, 'events.jsonl')]);
    expect(report.findings).toMatchObject([{ kind: 'fork', seq: common + 1 }]);
    // Both in one file, line by line, as two processes on one file leave it.
    const [mine, theirs] = [linesOf(file()).slice(common), linesOf(join(copy, 'events.jsonl')).slice(common)];
    const mixed = mine.flatMap((line, i) => [line, theirs[i] as string]);
    writeLines(file(), [...linesOf(file()).slice(0, common), ...mixed]);
    expect(kinds(await verify())).toContain('fork');
    rmSync(copy, { recursive: true });
  });

  it('foreign writer: a chain of another key, as part of a log and as the whole of it', async () => {
    await write(6);
    const other = mkdtempSync(join(tmpdir(), 'sallyport-other-'));
    await write(6, { in: other });
    const theirs = join(other, 'events.jsonl');
    expect((await verify([theirs])).findings).toMatchObject([{ kind: 'foreign_writer', line: 1 }]);
    tamper(file(), (lines) => [...lines, ...linesOf(theirs)]);
    expect(kinds(await verify([file()], [head()]))).toEqual(['foreign_writer']);
    // Of a replica whose key was given it is said that two have written the file.
    const both = await verify([file()], [], [publicKeys(), publicKeys(other)]);
    expect(both.findings).toEqual([]);
    expect(both.notes.join()).toContain('2 replicas have written it');
    // Somebody who signs the whole log anew with a key of his own.
    rmSync(file());
    await write(6, { from: 50 });
    tamper(file(), (lines) => rechained(lines, 0, keyOf(other)));
    expect(kinds(await verify())).toContain('foreign_writer');
    rmSync(other, { recursive: true });
  });

  it('resealed: what was signed with one key is signed again with a later one', async () => {
    await write(12);
    const keys = readSigningKeys(join(dir, 'audit-keys.json'));
    clock.advance(86_400);
    const later = createSigningKey(clock.now(), clock.now());
    writeSigningKeys(join(dir, 'audit-keys.json'), { ...keys, keys: [...keys.keys, later] });
    await write(6, { from: 12 });
    expect(await verify([file()], [head()])).toMatchObject({ verdict: 'whole', findings: [] });
    const at = lineWith(5);
    const forge = (line: string) =>
      line.replace(/"n":5,"by":"alice"/, '"n":5,"by":"mallory"').replace(/"key":"[0-9a-f]+"/, `"key":"${later.id}"`);
    tamper(file(), (lines) =>
      rechained(
        lines.map((line, i) => (i < at ? line : forge(line))),
        at,
        keyOf(),
      ),
    );
    const [first] = (await verify()).findings;
    expect(first).toMatchObject({ kind: 'resealed' });
    expect(first?.seq).toBeLessThanOrEqual(at + 1);
  });

  it('a key that was retired signs nothing later, and what it has signed is still verified', async () => {
    await write(6);
    const path = join(dir, 'audit-keys.json');
    const before = readSigningKeys(path);
    const stolen = keyOf();
    clock.advance(3600);
    writeSigningKeys(path, { ...before, keys: [...before.keys, createSigningKey(clock.now(), clock.now())] });
    await write(6, { from: 6 });
    const both = readSigningKeys(path);
    const retired = new Date(clock.now()).toISOString();
    const [{ private_key: _gone, ...first } = {} as never, ...rest] = both.keys;
    writeSigningKeys(path, { ...both, keys: [{ ...first, retired_at: retired } as never, ...rest] });
    clock.advance(3600);
    await write(6, { from: 12 });
    expect(await verify([file()], [head()])).toMatchObject({ verdict: 'whole', findings: [] });
    const at = lineWith(14);
    tamper(file(), (lines) =>
      rechained(
        lines.map((line, i) => (i < at ? line : line.replace(/"key":"[0-9a-f]+"/, `"key":"${stolen.id}"`))),
        at,
        stolen,
      ),
    );
    expect(kinds(await verify())).toContain('resealed');
  });

  it('truncated and rolled back: against an anchor only, and without one nothing is pretended', async () => {
    await write(12);
    const lines = linesOf(file());
    const end = lines.findLastIndex((line, i) => i < lines.length - 1 && line.includes('"signature"'));
    writeLines(file(), lines.slice(0, end + 3));
    expect(kinds(await verify([file()], [head()]))).toEqual(['truncated']);
    expect(await verify()).toMatchObject({ verdict: 'to_checkpoint', findings: [] });
    writeLines(file(), lines.slice(0, end + 1));
    expect(kinds(await verify([file()], [head()]))).toEqual(['rolled_back']);
    truncateSync(file(), readFileSync(file()).length - 30);
    expect(kinds(await verify([file()], [head()]))).toContain('truncated');
    // A log that was begun anew, as if there had never been another.
    const anchor = join(dir, 'kept.json');
    cpSync(head(), anchor);
    const { replica } = JSON.parse(readFileSync(head(), 'utf8'));
    rmSync(file());
    writeFileSync(head(), JSON.stringify({ version: 1, replica, checkpoints: {} }));
    await write(3);
    expect(kinds(await verify([file()], [anchor]))).toEqual(['rolled_back']);
  });

  it('truncated and deleted: also where another chain goes on from the one that was cut', async () => {
    await write(12);
    const cut = linesOf(file()).length - 4;
    // Somebody has lost the state folder; the next start begins another chain behind the one that is there.
    const { replica } = JSON.parse(readFileSync(head(), 'utf8'));
    writeFileSync(head(), JSON.stringify({ version: 1, replica, checkpoints: {} }));
    await write(12, { from: 12 });
    expect(await verify([file()], [head()])).toMatchObject({ verdict: 'whole', findings: [] });
    const whole = linesOf(file());
    const [first, second] = [whole.slice(0, cut + 4), whole.slice(cut + 4)];
    writeLines(file(), [...first.slice(0, cut), ...second]);
    expect(kinds(await verify([file()], [head()]))).toEqual(['truncated']);
    // The gap between the two chains excuses nothing that is missing in either.
    writeLines(file(), [...first, ...second.slice(0, 8), ...second.slice(9)]);
    expect(kinds(await verify([file()], [head()]))).toEqual(['delete']);
    writeLines(file(), [...first.slice(0, 6), ...first.slice(7), ...second]);
    expect(kinds(await verify([file()], [head()]))).toEqual(['delete']);
  });

  describe('by somebody who knows the verifier', () => {
    const GAP = (fields: object) =>
      `{"level":"info","message":"event","form":2,"type":"event","event":"log_gap","timestamp":"2026-11-23T09:00:00.000Z",${JSON.stringify(fields).slice(1)}`;
    /** A line with any place in the chain, linked or not. */
    const placed = (record: string, seq: number, prev = 'a'.repeat(64)) => {
      const { id } = JSON.parse(linesOf(file())[0] as string).chain;
      return linked(record, { chain: id, seq: seq - 1, hash: prev });
    };

    it('a gap that no checkpoint signs excuses nothing that one signs, and nothing that an anchor has', async () => {
      await write(20);
      const lines = linesOf(file());
      const end = lines.findLastIndex((line, i) => i < lines.length - 4 && line.includes('"signature"')) + 1;
      const told = GAP({ cause: 'unlinked', from_seq: end + 1, to_seq: lines.length });
      writeLines(file(), [...lines.slice(0, end), placed(told, lines.length + 1)]);
      expect(kinds(await verify([file()], [head()]))).not.toEqual([]);
      // A line with a number below that of a checkpoint is signed only where it leads to one.
      const within = placed(GAP({ cause: 'unlinked', from_seq: 4, to_seq: 6 }), 5);
      writeLines(file(), [...lines.slice(0, 3), within, ...lines.slice(6)]);
      expect(kinds(await verify([file()], [head()]))).not.toEqual([]);
    });

    it('what is put in is not excused by a torn line or an old version that nobody has signed', async () => {
      await write(12);
      const lines = linesOf(file());
      const last = { hash: hashOf(lines.at(-1) as string), seq: lines.length + 1 };
      const torn = placed(GAP({ cause: 'write_failed', torn_sha256: [hashOf('made up')] }), last.seq, last.hash);
      writeLines(file(), [...lines.slice(0, 5), 'made up', ...lines.slice(5), torn]);
      expect(kinds(await verify([file()], [head()]))).toContain('insert');
      const started = GAP({ cause: 'new', unchained_bytes: 8 }).replace('log_gap', 'log_started');
      writeLines(file(), ['made up', ...lines, placed(started, last.seq, last.hash)]);
      expect(kinds(await verify([file()], [head()]))).toContain('insert');
    });

    it('a whole log that was emptied, or replaced by lines without a chain, is not whole because another one is', async () => {
      const log = openLogIn(dir, { clock });
      await one(log, 1);
      await log.close();
      const decisions = join(dir, 'decisions.jsonl');
      const both = () => verifyLogs({ files: [file(), decisions], keys: [publicKeys()], anchors: [head()] });
      expect(await both()).toMatchObject({ verdict: 'whole' });
      for (const text of ['', '{"type":"decision"}\n']) {
        writeFileSync(decisions, text);
        expect(kinds(await both())).toContain('rolled_back');
      }
      const single = await verifyLogs({ files: [file()], keys: [publicKeys()], anchors: [head()] });
      expect(single).toMatchObject({ verdict: 'to_checkpoint', findings: [] });
    });

    it('a chain that was taken out of the middle is missed, and one before the first is said to be missing', async () => {
      const lost = () => {
        const { replica } = JSON.parse(readFileSync(head(), 'utf8'));
        writeFileSync(head(), JSON.stringify({ version: 1, replica, checkpoints: {} }));
      };
      const starts: number[] = [];
      for (let n = 0; n < 3; n += 1) {
        if (n > 0) lost();
        starts.push(n === 0 ? 0 : linesOf(file()).length);
        await write(4, { from: 10 * n });
      }
      const lines = linesOf(file());
      expect(await verify([file()], [head()])).toMatchObject({ verdict: 'whole', findings: [] });
      writeLines(file(), [...lines.slice(0, starts[1]), ...lines.slice(starts[2])]);
      expect(kinds(await verify([file()], [head()]))).toContain('delete');
      writeLines(file(), lines.slice(starts[2]));
      const report = await verify([file()], [head()]);
      expect(report.findings).toEqual([]);
      expect(report.notes.join()).toContain('which is not among the files');
    });

    it('a time that is none does not hide that a later key has signed', async () => {
      await write(12);
      const keys = readSigningKeys(join(dir, 'audit-keys.json'));
      clock.advance(86_400);
      const later = createSigningKey(clock.now(), clock.now());
      writeSigningKeys(join(dir, 'audit-keys.json'), { ...keys, keys: [...keys.keys, later] });
      tamper(file(), (lines) =>
        rechained(
          lines.map((line) =>
            line.includes('"signature"')
              ? line
                  .replace(/"key":"[0-9a-f]+"/, `"key":"${later.id}"`)
                  .replace(/"timestamp":"[^"]+"/, '"timestamp":"then"')
              : line.replace(/"timestamp":"[^"]+"/, `"timestamp":"${new Date(clock.now()).toISOString()}"`),
          ),
          0,
          keyOf(),
        ),
      );
      expect(kinds(await verify())).toContain('resealed');
    });
  });

  it('damage: in the part that no checkpoint signs yet nothing is called a forgery', async () => {
    await write(6);
    const log = openLogIn(dir, { clock });
    for (const n of [6, 7, 8]) await one(log, n);
    tamper(file(), (lines) => lines.map((line) => line.replace('"n":7,"by":"alice"', '"n":7,"by":"mallory"')));
    expect(await verify()).toMatchObject({ verdict: 'bad', findings: [{ kind: 'damage' }] });
    await log.close();
  });

  it('finds a flip of every single bit', async () => {
    await write(3, { records: 3 });
    const keys = exportKeys(readSigningKeys(join(dir, 'audit-keys.json'))).keys;
    const objects = keyObjects(keys);
    const bytes = readFileSync(file());
    const verdict = async () => {
      const scanner = new Scanner(objects);
      scanner.feed(bytes);
      return (await judge([{ file: file(), packed: false, scan: scanner.end() }], keys, new Map())).verdict;
    };
    expect(await verdict()).toBe('to_checkpoint');
    const missed: string[] = [];
    for (let at = 0; at < bytes.length; at += 1)
      for (let bit = 0; bit < 8; bit += 1) {
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        if ((await verdict()) !== 'bad') missed.push(`${at}.${bit}`);
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
      }
    expect(missed).toEqual([]);
  }, 120_000);

  it('a file that ends in the middle of itself is told, and what was read of it stands', async () => {
    await write(40);
    const packed = join(dir, 'packed.gz');
    writeFileSync(packed, gzipSync(readFileSync(file())).subarray(0, -40));
    expect(kinds(await verify([packed]))).toContain('unreadable');
  });
});

describe('R-61: what is given to the verifier', () => {
  it('keys are public ones, and an anchor is signed with one of them', async () => {
    await write(3);
    const refusal = (promise: Promise<unknown>) =>
      promise.then(
        () => 'accepted',
        (error: Error) => error.message,
      );
    expect(await refusal(verify([file()], [], [join(dir, 'audit-keys.json')]))).toMatch(
      /has the keys that sign.*export/,
    );
    const forged = JSON.parse(readFileSync(publicKeys(), 'utf8'));
    const other = join(dir, 'other.json');
    writeFileSync(other, JSON.stringify({ ...forged, keys: [{ ...forged.keys[0], id: '0'.repeat(16) }] }));
    expect(await refusal(verify([file()], [], [other]))).toMatch(/is another one/);
    for (const [name, text] of Object.entries({ 'a.json': '{}', 'b.json': 'text', 'c.json': '' })) {
      writeFileSync(join(dir, name), text);
      expect(await refusal(verify([file()], [], [join(dir, name)]))).toMatch(/--keys/);
      expect(await refusal(verify([file()], [join(dir, name)]))).toMatch(/--anchor/);
    }
    const anchor = linesOf(file()).at(-1) as string;
    writeFileSync(join(dir, 'forged.jsonl'), `${anchor.replace('"closed"', '"opened"')}\n`);
    expect(await refusal(verify([file()], [join(dir, 'forged.jsonl')]))).toMatch(/none of the given keys has signed/);
    expect(await refusal(verify([join(dir, 'none.jsonl')]))).toMatch(/ENOENT/);
    expect(await refusal(verify([dir]))).toMatch(/it is no file/);
  });
});
