import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Message } from '../../src/alerts/alert.ts';
import { openSpool, type Spool } from '../../src/alerts/spool/spool.ts';
import { about } from '../support/alerts.ts';
import { until } from '../support/harness.ts';

let dir: string;
let file: string;
const told: string[] = [];
const open: Spool[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-spool-'));
  file = join(dir, 'spool.jsonl');
  told.length = 0;
});
afterEach(() => {
  for (const spool of open.splice(0)) spool.close();
  rmSync(dir, { recursive: true, force: true });
});

const spoolAt = (path = file): Spool => {
  const spool = openSpool({
    ...{ file: path, id: 'spool' },
    onFailing: (problem) => void told.push(problem === undefined ? 'well again' : `failing: ${problem}`),
    onUnreadable: (lines) => void told.push(`${lines} unreadable`),
  });
  open.push(spool);
  return spool;
};
const messageOf = (client: string): Message => {
  const alert = about('replay.seen', client);
  return {
    id: `alert_${client}`,
    occurrence: 'occurrence-1',
    mark: '1',
    event: 'triggered',
    at: alert.at,
    alert,
    count: 1,
    since: alert.at,
    by: null,
  };
};
const route = (...names: string[]) => new Map(names.map((name) => [name, 0]));
/** What another process would find. */
const found = async () => {
  // What became of an alert is written in a moment; a new one at once.
  await new Promise(setImmediate);
  return present();
};
const present = () => {
  const copy = join(dir, 'copy.jsonl');
  writeFileSync(copy, readFileSync(file));
  const { undecided, spooled } = spoolAt(copy).before;
  return [
    ...undecided.map(({ alert }) => `? ${alert.client?.id}`),
    ...spooled.map(({ message, to }) => `${message.alert.client?.id} to ${[...to.keys()].join(' ')}`),
  ];
};

describe('R-63: alerts that wait are on disk', () => {
  it('what was put, decided on, taken by some and forgotten is found by the next process, at any moment', async () => {
    const spool = spoolAt();
    const a = spool.put(about('replay.seen', 'a'));
    const b = spool.put(about('replay.seen', 'b'));
    expect(present()).toEqual(['? a', '? b']);
    spool.forget(b);
    const spooled = spool.deliver(messageOf('a'), route('chat', 'pager'), a);
    expect(await found()).toEqual(['a to chat pager']);
    expect(spool.has('alert_a')).toBe(true);
    expect(spool.taken(spooled, 'chat')).toBe(false);
    expect(await found()).toEqual(['a to pager']);
    expect(spool.taken(spooled, 'pager')).toBe(true);
    // It is forgotten when it is on disk that its incident is open: else nobody would tell its end.
    expect(await found()).toEqual(['a to pager']);
    spool.release();
    expect(await found()).toEqual([]);
    expect(spool.waitingBytes).toBe(0);
    expect(spool.has('alert_a')).toBe(false);
  });

  it('a line that was cut off is left out, and what makes no sense is told and spares the others', async () => {
    const spool = spoolAt();
    spool.put(about('replay.seen', 'a'));
    appendFileSync(file, '{"n":2,"alert":{"inci');
    expect(await found()).toEqual(['? a']);
    expect(told).toEqual([]);
    appendFileSync(file, '\nnot json\n[1]\n{"n":"x"}\n{"n":9,"message":7}\n');
    expect(await found()).toEqual(['? a']);
    expect(told).toEqual(['5 unreadable']);
  });

  it('a file that was removed or replaced while it is open is written anew with all that waits', async () => {
    const spool = spoolAt();
    spool.put(about('replay.seen', 'a'));
    rmSync(file);
    spool.put(about('replay.seen', 'b'));
    spool.look();
    expect(await found()).toEqual(['? a', '? b']);
    writeFileSync(`${file}.other`, '');
    rmSync(file);
    writeFileSync(file, '');
    spool.look();
    expect(await found()).toEqual(['? a', '? b']);
  });

  it('R-64: where the disk takes nothing it is told once, nothing is lost in this process, and it is all there afterwards', async () => {
    const folder = join(dir, 'gone');
    const path = join(folder, 'spool.jsonl');
    const spool = spoolAt(path);
    expect(told).toEqual([expect.stringContaining('failing: ')]);
    spool.put(about('replay.seen', 'a'));
    spool.look();
    expect(told).toHaveLength(1);
    // The folder is there again.
    rmSync(folder, { recursive: true, force: true });
    writeFileSync(join(dir, 'x'), '');
    mkdirSync(folder);
    await until(() => {
      spool.look();
      return told.at(-1) === 'well again';
    }, 'the disk to be tried again');
    expect(readFileSync(path, 'utf8')).toContain('"a"');
  });

  it('the file does not grow with what is done, and only its owner can read it', async () => {
    const spool = spoolAt();
    const kept = spool.put(about('replay.seen', 'kept'));
    for (let i = 0; i < 5000; i++) spool.forget(spool.put(about('replay.seen', `done-${i}`)));
    expect(statSync(file).size).toBeGreaterThan(1024 * 1024);
    spool.look();
    expect(statSync(file).size).toBeLessThan(2000);
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(await found()).toEqual(['? kept']);
    spool.forget(kept);
  });
});
