// Reads lines of a log and finds the pieces of chains in them. Nothing is judged here: what does not fit together is where
// one piece ends and the next begins.
import type { KeyObject } from 'node:crypto';
import { hashOf, type Link, linkOf } from '../../chain/chain.ts';
import { CHECKPOINT_LINE, checkpointOf, isSignedWith } from '../../chain/checkpoint.ts';

/** Lines of one chain that are linked to each other without a break. */
export interface Run {
  chain: string;
  /** Numbers in the chain, of the first line and the last. */
  from: number;
  to: number;
  /** What the first line says of the line before it, and the hash of the last. */
  prev: string;
  hash: string;
  /** Line numbers in the file, and byte offsets: of the first line, and behind the last. */
  line: number;
  lastLine: number;
  start: number;
  end: number;
  /** Where the last line begins. */
  lastStart: number;
  /** The first line is one with which a file of a log may begin. */
  opens: boolean;
  /** The time in the first record. */
  time: string;
}

/** Lines that stand in no chain, one after the other. */
export interface Strange {
  line: number;
  count: number;
  start: number;
  bytes: number;
  /** Of each line; undefined where there are very many. */
  hashes: string[] | undefined;
  /** It is the end of the file, and has no line end. */
  unended: boolean;
  /** More than a part of a record stands there: no write that was cut short leaves that. */
  excess: boolean;
}

/** A checkpoint. */
export interface Mark extends Link {
  hash: string;
  line: number;
  cause: string;
  log: string;
  key: string;
  timestamp: string;
  replica: string;
  /** undefined: the key is not among those that were given. */
  valid: boolean | undefined;
  /** The earliest time in the records since the checkpoint before it, as far as this scan has read; empty where one has none. */
  since: string;
}

/** What a log says of itself. */
export interface Told extends Link {
  line: number;
  event: string;
  fields: Record<string, unknown>;
}

export interface Scan {
  lines: number;
  bytes: number;
  runs: Run[];
  strange: Strange[];
  marks: Mark[];
  told: Told[];
  /** By chain, the earliest time in the records behind its last checkpoint. */
  unsigned: Record<string, string>;
  /** Why it could not be read to its end. */
  problem?: string;
}

/** The earlier of two times; a record without one counts as the earliest. */
export const earlier = (a: string | undefined, b: string): string => (a === undefined || b < a ? b : a);

const NEWLINE = 0x0a;
const EVENT_LINE = Buffer.from('{"level":"info","message":"event",');
const TIME = /"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"/;
const ABOUT_LOG = /^.{0,120}"event":"log_[a-z]+"/;
const WHOLE_RECORD = /"prev":"[0-9a-f]{64}"\}(?:\}|,"signature":"[0-9a-f]{128}"\})[\s\S]/;
/** Lines without a chain whose hashes are kept: those that were torn are few. */
const MOST_HASHES = 1000;

/** The lines of two neighbours together. */
export const hashesOf = (a: string[] | undefined, b: string[] | undefined): string[] | undefined =>
  a && b && a.length + b.length <= MOST_HASHES ? [...a, ...b] : undefined;

/** The head of a record has its time within so many bytes. */
const HEAD = 400;

/** Takes blocks of a file one after the other. */
export class Scanner {
  readonly scan: Scan = { lines: 0, bytes: 0, runs: [], strange: [], marks: [], told: [], unsigned: {} };
  readonly #keys: ReadonlyMap<string, KeyObject>;
  readonly #open = new Map<string, Run>();
  #rest: Buffer[] = [];

  constructor(keys: ReadonlyMap<string, KeyObject>) {
    this.#keys = keys;
  }

  feed(block: Buffer): void {
    let at = 0;
    for (;;) {
      const end = block.indexOf(NEWLINE, at);
      if (end === -1) break;
      if (this.#rest.length > 0) {
        const line = Buffer.concat([...this.#rest, block.subarray(at, end)]);
        this.#rest = [];
        this.#line(line, 0, line.length);
      } else this.#line(block, at, end);
      at = end + 1;
    }
    // The caller may use the block again.
    if (at < block.length) this.#rest.push(Buffer.from(block.subarray(at)));
  }

  /** There is no more. What has no line end is a line where it is linked, and else the beginning of one. */
  end(): Scan {
    const rest = Buffer.concat(this.#rest);
    this.#rest = [];
    if (rest.length === 0) return this.scan;
    const link = linkOf(rest) ?? checkpointOf(rest);
    const run = link && this.#open.get(link.chain);
    // Alone in its part it is linked to a line of the part before, or not, which is seen when they are joined.
    if (link && (!run || run.hash === link.prev)) this.#line(rest, 0, rest.length, 0);
    else this.#strangeLine(rest, 0, rest.length, true);
    return this.scan;
  }

  #line(bytes: Buffer, start: number, end: number, lineEnd = 1): void {
    const { scan } = this;
    const isMark = sits(bytes, start, CHECKPOINT_LINE);
    const mark = isMark ? checkpointOf(bytes.subarray(start, end)) : undefined;
    const link = mark ?? linkOf(bytes, start, end);
    if (!link) return this.#strangeLine(bytes, start, end, false);
    scan.lines += 1;
    const line = bytes.subarray(start, end);
    const hash = hashOf(line);
    const told = sits(bytes, start, EVENT_LINE) ? toldOf(line, link, scan.lines) : undefined;
    if (told) scan.told.push(told);
    const time = () => TIME.exec(line.toString('latin1', 0, HEAD))?.[1] ?? '';
    this.#extend(link, hash, { opens: mark !== undefined || told !== undefined, time });
    const run = this.#open.get(link.chain) as Run;
    run.lastLine = scan.lines;
    run.lastStart = scan.bytes;
    scan.bytes += end - start + lineEnd;
    run.end = scan.bytes;
    const since = scan.unsigned[link.chain];
    if (!mark) {
      scan.unsigned[link.chain] = earlier(since, time());
      return;
    }
    delete scan.unsigned[link.chain];
    const { chain, seq, prev, cause, log, key, timestamp, replica } = mark;
    const publicKey = this.#keys.get(key);
    const valid = publicKey && isSignedWith(mark, publicKey);
    const at = { line: scan.lines, hash, since: earlier(since, timestamp) };
    scan.marks.push({ chain, seq, prev, cause, log, key, timestamp, replica, valid, ...at });
  }

  #extend({ chain, seq, prev }: Link, hash: string, first: { opens: boolean; time: () => string }): void {
    const { scan } = this;
    const open = this.#open.get(chain);
    if (open && open.hash === prev && open.to + 1 === seq) {
      open.to = seq;
      open.hash = hash;
      return;
    }
    const place = { line: scan.lines, lastLine: scan.lines, start: scan.bytes, end: 0, lastStart: 0 };
    const run = { chain, from: seq, to: seq, prev, hash, ...place, opens: first.opens, time: first.time() };
    scan.runs.push(run);
    this.#open.set(chain, run);
  }

  #strangeLine(bytes: Buffer, start: number, end: number, unended: boolean): void {
    const { scan } = this;
    scan.lines += 1;
    const line = bytes.subarray(start, end);
    const length = end - start + (unended ? 0 : 1);
    const before = scan.strange.at(-1);
    if (before && !unended && before.line + before.count === scan.lines) {
      before.count += 1;
      before.bytes += length;
      if (before.hashes && before.hashes.length < MOST_HASHES) before.hashes.push(hashOf(line));
      else before.hashes = undefined;
    } else {
      const excess = unended && WHOLE_RECORD.test(line.toString('latin1'));
      const hashes = [hashOf(line)];
      scan.strange.push({ line: scan.lines, count: 1, start: scan.bytes, bytes: length, hashes, unended, excess });
    }
    scan.bytes += length;
  }
}

function toldOf(line: Buffer, link: Link, number: number): Told | undefined {
  if (!ABOUT_LOG.test(line.toString('latin1', 0, HEAD))) return undefined;
  try {
    const fields = JSON.parse(line.toString()) as Record<string, unknown>;
    return { ...link, line: number, event: String(fields.event), fields };
  } catch {
    return undefined;
  }
}

function sits(bytes: Buffer, at: number, what: Buffer): boolean {
  return bytes.length - at >= what.length && bytes.compare(what, 0, what.length, at, at + what.length) === 0;
}
