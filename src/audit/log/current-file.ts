// The file that a log stands in at present. It finds out what became of it, and goes on in another one where it is not what it
// was; what remains of the old one is left as it is.
import { basename } from 'node:path';
import { isOccupied, type LogFile, type LogFileOptions, openLogFile, type Place } from './file.ts';
import type { Told } from './resume.ts';
import { asideName, moveAside, type Rotation } from './rotation.ts';
import { firstLinkOf, readAt } from './tail.ts';

export interface CurrentFileOptions extends LogFileOptions {
  rotation: Rotation;
  now: () => number;
}

const NEWLINE = 0x0a;
/** How often it is told that others write into the file, in milliseconds. */
const FOREIGN_MS = 60_000;

export class CurrentFile {
  readonly #options: CurrentFileOptions;
  #file: LogFile;
  /** The number of the first line of this file, as far as it is known. */
  #from: number | null = null;
  #openedAt: number;
  /** Where the loss began that this file begins with the record of: if this file is lost, too, that record is. */
  #lostFrom: number | null = null;
  /** Bytes of others that were not told yet, and when some were told. */
  #foreign = 0;
  #foreignAt = Number.NEGATIVE_INFINITY;
  /** Something stands behind the last line end, so the next line begins with one. */
  torn = false;
  /** After a failed sync nobody knows what of the file is on the disk, so it is not written again. */
  distrusted = false;

  /** Throws an OperatorError when the file cannot be opened. */
  constructor(options: CurrentFileOptions) {
    this.#options = options;
    this.#file = openLogFile(options);
    this.#openedAt = options.rotation.openedAt(this.readable);
    if (this.readable && this.#file.size > 0) this.#from = firstLinkOf(this.#file.fd, this.#file.size)?.seq ?? null;
  }

  /** How much stands in it, in bytes, as far as this process knows. */
  get size(): number {
    return this.#file.size;
  }

  /** The number of its first line, where that is known. */
  get from(): number | null {
    return this.#from;
  }

  /** The file, unless it is a pipe, a terminal or a device. */
  get readable(): { fd: number; size: number } | undefined {
    return this.#file.regular ? this.#file : undefined;
  }

  /** Whether there is something to do before the next write. */
  get changed(): boolean {
    return this.#file.look().place !== 'same' || this.rotationDue !== undefined;
  }

  get rotationDue(): 'size' | 'age' | undefined {
    return this.readable && this.#options.rotation.due(this.#file.size, this.#openedAt);
  }

  /**
   * Before a write: makes sure that the file is where it was, or goes on in another one, and answers what the log says of it.
   * `last` is the number of the last line. Throws where no file can be had; nothing may be written then.
   */
  find(last: number): Told | undefined {
    if (this.distrusted) {
      if (isOccupied(this.#options.file)) moveAside(this.#options.file, this.#aside(last, 'unsynced'));
      this.distrusted = false;
      this.#reopen();
      return undefined;
    }
    const { place, size } = this.#file.look();
    if (place === 'same') return undefined;
    if (place === 'longer') return this.#shared(size);
    if (place === 'moved') {
      const fields = { cause: 'moved', from_seq: this.#from, to_seq: last };
      this.#reopen();
      this.#lostFrom = null;
      return { event: 'log_rotated', fields };
    }
    return this.#replace(place, size, last);
  }

  /**
   * Appends lines, the first of which has the number `first`. Resolves when they stand, as durable as configured, in a file
   * that is where it should be: again in another one, where the first was taken away meanwhile.
   */
  async write(given: Buffer, first: number): Promise<Told[]> {
    const told: Told[] = [];
    let data = given;
    for (let files = 0; ; files += 1) {
      await this.#file.write(data);
      const { place, size } = this.#file.look();
      const shared = place === 'longer' ? this.#shared(size) : undefined;
      if (shared) told.push(shared);
      if (place === 'same' || place === 'moved' || place === 'longer') break;
      if (files >= MOST_FILES) throw new Error('the file of the log is taken away again and again');
      told.push(this.#replace(place, place === 'shorter' && size === data.length ? 0 : size, first - 1));
      if (place === 'shorter' && size === data.length) {
        this.#file.size = size;
        break;
      }
      if (given[0] === NEWLINE) data = given.subarray(1);
    }
    this.#from ??= first;
    this.torn = false;
    return told;
  }

  /** What stands behind `before`; undefined where it cannot be read. */
  since(before: number): Buffer | undefined {
    if (!this.readable) return undefined;
    try {
      const { size } = this.#file.look();
      this.#file.size = Math.max(size, before);
      return readAt(this.#file.fd, before, Math.max(0, size - before));
    } catch {
      return undefined;
    }
  }

  /** Gives the file, whose last line is `last`, a name of its own, and goes on in a new one. Throws what renaming throws. */
  rotate(cause: 'size' | 'age', last: number): Told {
    const to = this.#aside(last);
    moveAside(this.#options.file, to);
    const fields = { cause, file: basename(to), from_seq: this.#from, to_seq: last };
    this.#reopen();
    this.#lostFrom = null;
    return { event: 'log_rotated', fields };
  }

  /** Not before it is as old again as a file may be. */
  putRotationOff(): void {
    this.#openedAt = this.#options.now();
  }

  close(): void {
    this.#file.close();
  }

  /**
   * Somebody else has written into the file. It is said at once, and then once a minute: two processes on one file would else
   * answer each other for ever.
   */
  #shared(size: number): Told | undefined {
    this.#foreign += size - this.#file.size;
    this.torn = readAt(this.#file.fd, size - 1, 1)[0] !== NEWLINE;
    this.#file.size = size;
    if (performance.now() - this.#foreignAt < FOREIGN_MS) return undefined;
    const bytes = this.#foreign;
    [this.#foreign, this.#foreignAt] = [0, performance.now()];
    return { event: 'log_foreign', fields: { bytes } };
  }

  #replace(place: Exclude<Place, 'same' | 'moved' | 'longer'>, size: number, last: number): Told {
    const from = this.#lostFrom ?? this.#from;
    const fields = { cause: place, from_seq: from, to_seq: last };
    if (place === 'shorter' && size === 0) {
      this.#file.size = 0;
      [this.torn, this.#from] = [false, null];
    } else {
      if (isOccupied(this.#options.file))
        moveAside(this.#options.file, this.#aside(last, place === 'shorter' ? 'cut' : 'found'));
      this.#reopen();
    }
    this.#lostFrom = from;
    return { event: 'log_gap', fields };
  }

  #aside(last: number, what?: string): string {
    return asideName(this.#options.file, last, this.#options.now(), what);
  }

  #reopen(): void {
    const file = openLogFile(this.#options, this.#file.regular);
    this.#file.close();
    this.#file = file;
    this.torn = file.regular && file.size > 0 && readAt(file.fd, file.size - 1, 1)[0] !== NEWLINE;
    this.#from = null;
    this.#openedAt = this.#options.now();
  }
}

/** How often a batch is written into yet another file, when each is taken away at once. */
const MOST_FILES = 5;
