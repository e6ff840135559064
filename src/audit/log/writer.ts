// Writes one log: each batch linked to the one before, signed in between, and continued behind the last whole line after a
// write that failed.
import { hashOf, type Position } from '../chain/chain.ts';
import type { Head, LogName } from '../chain/head.ts';
import type { Appender } from './batches.ts';
import { CurrentFile, type CurrentFileOptions } from './current-file.ts';
import { type Encoded, encode, type Item } from './encode.ts';
import { createMissed, type Missed } from './missed.ts';
import { resume, type Told } from './resume.ts';
import { movedAsideWith } from './rotation.ts';
import { Signing, type SigningOptions } from './signing.ts';
import { unreadable } from './tail.ts';

export interface WriterOptions extends CurrentFileOptions, Omit<SigningOptions, 'last'> {
  log: LogName;
  /** Written to as well as the file (`both`), or instead of it (`stdout`). */
  to: 'file' | 'stdout' | 'both';
  stdout: (data: Buffer) => Promise<void>;
  head: Head;
  /** The text of a record of the log itself, without its place. */
  event: (told: Told) => string;
  /** Something happened to the log: for alerts and the operational log. */
  onTold: (told: Told) => void;
  /** Writes begin to fail. */
  onFailing: (code: string | undefined) => void;
  /** Something about the files that endangers no record. */
  onProblem: (problem: string) => void;
  /** A checkpoint is on the disk. */
  onCheckpoint: (line: string) => void;
}

/** After such an error it can be read what was written, and nobody knows whether it is on the disk. */
const UNSYNCED = ['EIO'];
/** How often what comes to light with a write is written at once. */
const MOST_ROUNDS = 5;
const NEWLINE = 0x0a;

/** What a failed write has left: so many lines, what is to be said of it, and the hash of a line that is torn. */
interface ReadBack {
  onDisk: number;
  fields: Told['fields'] | undefined;
  torn: string | undefined;
}

const NOTHING: ReadBack = { onDisk: 0, fields: undefined, torn: undefined };

/** One attempt to write lines. `gapFirst`: the first of the items is the record of a gap. */
interface Attempt {
  lines: readonly string[];
  items: readonly Item[] | undefined;
  gapFirst: boolean;
  readBack: ReadBack;
}

/** Opens the log. Throws an OperatorError when its file cannot be opened. */
export const openWriter = (options: WriterOptions): Appender => new Writer(options);

class Writer implements Appender {
  readonly #options: WriterOptions;
  readonly #signing: Signing;
  readonly #file: CurrentFile | undefined;
  #at: Position;
  /** What the log has to say of itself. */
  #own: string[] = [];
  /** Why there is a gap, from the first failed write on, and what stands there instead of lines. */
  #gap: { fields: Told['fields']; torn: string[] } | undefined;
  #missed: Missed = createMissed();
  #failing = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    const { head, log, to, file: path } = options;
    const file = to === 'stdout' ? undefined : new CurrentFile(options);
    const kept = head.of(log);
    try {
      const movedAside = () => kept !== undefined && movedAsideWith(path, kept.line);
      const { at, torn, told } = resume({ file: file?.readable, kept, movedAside });
      if (file) file.torn = torn;
      [this.#file, this.#at] = [file, at];
      this.#signing = new Signing({ ...options, last: kept?.chain === at.chain ? kept : undefined });
      this.#tell(told);
    } catch (thrown) {
      file?.close();
      throw unreadable(path, thrown);
    }
  }

  async append(lines: readonly string[]): Promise<void> {
    try {
      await this.#rotateIfDue();
    } catch (thrown) {
      this.#missed.add(lines, 0);
      throw thrown;
    }
    let first: readonly string[] = lines;
    // What comes to light with a write is on record before its calls go on.
    for (let round = 0; round === 0 || (this.#own.length > 0 && round < MOST_ROUNDS); round += 1) {
      try {
        await this.#appendOnce(first);
      } catch (thrown) {
        // The records stand, and their calls are refused all the same.
        if (round > 0) this.#missed.add(lines, lines.length);
        throw thrown;
      }
      first = [];
    }
  }

  lost(): void {
    this.#gap ??= { fields: { cause: 'too_many_waiting' }, torn: [] };
    this.#missed.drop();
  }

  due(): boolean {
    if (this.#own.length > 0 || this.#signing.due() !== undefined) return true;
    try {
      return this.#file?.changed ?? false;
    } catch {
      return true;
    }
  }

  async close(): Promise<void> {
    await this.#appendOnce([], 'closed').catch(() => {});
    this.#file?.close();
  }

  /** `seal`: the last line is a checkpoint, so that nothing can be taken off the end. */
  async #appendOnce(lines: readonly string[], seal?: 'closed' | 'rotated'): Promise<void> {
    const attempt: Attempt = { lines, items: undefined, gapFirst: false, readBack: NOTHING };
    try {
      this.#lookAtFiles();
      attempt.gapFirst = this.#gap !== undefined;
      attempt.items = this.#itemsOf(lines, seal);
      if (attempt.items.length === 0) return;
      const encoded = encode(attempt.items, this.#at, this.#file?.torn ?? false, this.#signing);
      const before = this.#file?.size ?? 0;
      this.#own = [];
      try {
        await this.#put(encoded);
      } catch (thrown) {
        attempt.readBack = this.#readBack(encoded, before, codeOf(thrown));
        throw thrown;
      }
      this.#advance(encoded, encoded.items.length);
      if (this.#failing) this.#options.onFailing(undefined);
      this.#failing = false;
      if (attempt.gapFirst) this.#gapIsTold();
    } catch (thrown) {
      this.#fail(attempt, codeOf(thrown));
      throw thrown;
    }
  }

  #lookAtFiles(): void {
    const { rotation, file: path } = this.#options;
    if (!this.#file) return;
    const found = this.#file.find(this.#at.seq);
    this.#tell(found ? [found] : []);
    rotation.makeRoom(path, this.#file.size, (told) => this.#tell([told]));
  }

  /** The records, behind what the log itself has to say: what a failed write has missed comes first. */
  #itemsOf(lines: readonly string[], seal: 'closed' | 'rotated' | undefined): Item[] {
    const items: Item[] = [];
    if (this.#gap) items.push(this.#options.event({ event: 'log_gap', fields: this.#gapFields() }));
    items.push(...this.#own, ...this.#missed.kept);
    if (this.#gap || this.#own.length > 0) this.#signing.ask('event');
    const checkpoint = this.#signing.due();
    if (checkpoint && (!seal || checkpoint === 'key')) items.push({ checkpoint });
    return [...items, ...lines, ...(seal ? [{ checkpoint: seal }] : [])];
  }

  #gapFields(): Told['fields'] {
    const { fields, torn } = this.#gap ?? { fields: {}, torn: [] };
    return { ...fields, ...this.#missed.fields, ...(torn.length > 0 && { torn_sha256: torn }) };
  }

  async #put({ data, ends }: Encoded): Promise<void> {
    const { to, stdout } = this.#options;
    if (this.#file) this.#tell(await this.#file.write(data, ends[0]?.position.seq ?? 0));
    if (to !== 'file') await stdout(data);
  }

  async #rotateIfDue(): Promise<void> {
    const cause = this.#file?.rotationDue;
    if (!this.#file || !cause) return;
    await this.#appendOnce([], 'rotated');
    try {
      this.#tell([this.#file.rotate(cause, this.#at.seq)]);
    } catch (thrown) {
      // The file grows on, and loses nothing.
      this.#file.putRotationOff();
      this.#options.onProblem(`it cannot be rotated: ${codeOf(thrown)}`);
    }
  }

  /** `count` of the lines are on the disk. */
  #advance(encoded: Encoded, count: number): void {
    const last = encoded.ends[count - 1];
    if (!last) return;
    this.#at = last.position;
    if (count < encoded.items.length) return;
    this.#signing.written(encoded);
    if (encoded.checkpoint === undefined) return;
    try {
      this.#options.head.keep(this.#options.log, encoded.checkpoint, this.#file?.from ?? null);
    } catch (thrown) {
      this.#options.onProblem(`its end cannot be kept in the state folder: ${codeOf(thrown)}`);
    }
    this.#options.onCheckpoint(encoded.checkpoint);
  }

  /**
   * After a failed write the log goes on behind the last whole line on the disk. Where that cannot be known, the numbers of
   * the lines are not given again.
   */
  #readBack(encoded: Encoded, before: number, code: string): ReadBack {
    const { data, ends } = encoded;
    const there = this.#file?.since(before);
    if (!there?.equals(data.subarray(0, there.length)) || UNSYNCED.includes(code)) {
      const cause = UNSYNCED.includes(code) ? 'sync_failed' : 'end_unknown';
      const fields = { cause, code, from_seq: this.#at.seq + 1, to_seq: ends.at(-1)?.position.seq ?? null };
      if (this.#file?.readable) this.#file.distrusted = true;
      this.#at = ends.at(-1)?.position ?? this.#at;
      return { onDisk: 0, fields, torn: undefined };
    }
    // A line that lacks nothing but its end is whole.
    const onDisk = ends.filter(({ at }) => at - 1 <= there.length).length;
    this.#advance(encoded, onDisk);
    const end = ends[onDisk - 1]?.at ?? (data[0] === NEWLINE ? 1 : 0);
    if (this.#file && there.length === end - 1 && onDisk > 0) {
      this.#file.torn = true;
      return { onDisk, fields: { cause: 'write_failed', code }, torn: undefined };
    }
    const fragment = there.subarray(end);
    if (this.#file && there.length > 0) this.#file.torn = fragment.length > 0;
    const torn = fragment.length > 0 ? hashOf(fragment) : undefined;
    return { onDisk, fields: { cause: 'write_failed', code }, torn };
  }

  /** Remembers what a failed attempt was to write, for the record of the gap. */
  #fail({ lines, items, gapFirst, readBack }: Attempt, code: string): void {
    if (!this.#failing) this.#options.onFailing(code);
    this.#failing = true;
    const { onDisk, fields, torn } = readBack;
    if (gapFirst && onDisk > 0) this.#gapIsTold();
    this.#gap ??= { fields: fields ?? { cause: 'write_failed', code }, torn: [] };
    if (fields?.to_seq !== undefined)
      this.#gap.fields = { ...fields, from_seq: this.#gap.fields.from_seq ?? fields.from_seq };
    if (torn !== undefined) this.#gap.torn.push(torn);
    if (!items) return this.#missed.add(lines, 0);
    // What had been missed before is among the items.
    const before = this.#missed;
    this.#missed = createMissed(gapFirst && onDisk === 0 ? before : undefined);
    this.#missed.add(items.slice(gapFirst ? 1 : 0), Math.max(0, onDisk - (gapFirst ? 1 : 0)));
  }

  /** The record of the gap is on the disk. */
  #gapIsTold(): void {
    if (!this.#gap) return;
    this.#options.onTold({ event: 'log_gap', fields: this.#gapFields() });
    [this.#gap, this.#missed] = [undefined, createMissed()];
  }

  #tell(all: readonly Told[]): void {
    for (const told of all) {
      this.#own.push(this.#options.event(told));
      this.#options.onTold(told);
    }
  }
}

const codeOf = (thrown: unknown): string => String((thrown as NodeJS.ErrnoException | undefined)?.code ?? 'unknown');
