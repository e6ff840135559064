// A winston transport that tells each writer when its line is durable. Lines that arrive while the disk is busy
// are written together, so all waiting calls share the cost of one sync.
import fs from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { MESSAGE } from 'triple-beam';
import Transport from 'winston-transport';
import { OperatorError } from '../core/errors.ts';

/**
 * Key of a callback that a writer can set on a log entry. It is called exactly once: without an argument when the
 * entry is written as durably as configured, else with an error.
 */
export const WRITTEN = Symbol('written');
/**
 * Key that is set to true when a call waits for this entry. Other entries may wait a moment, so that several are
 * written at once.
 */
export const URGENT = Symbol('urgent');

/** `file` is created with mode 0600. `disk` syncs after each write; `os` leaves that to the operating system. */
export interface FileTransportOptions {
  file: string;
  durability: 'disk' | 'os';
}

/**
 * How much text may wait for the next write (as string length). Beyond it entries fail, and a call that waits for
 * such an entry is refused.
 */
const MAX_WAITING = 16 * 1024 * 1024;
/**
 * The longest, in milliseconds, that an entry for which no call waits stays in memory before its write begins.
 */
const LAZY_MS = 20;

type Written = (error?: Error) => void;
type Entry = Record<symbol, unknown>;

const write = promisify(fs.write) as (fd: number, data: Buffer, offset: number) => Promise<{ bytesWritten: number }>;
const datasync = promisify(fs.fdatasync);

/** Appends entries to one file and reports durability through WRITTEN. */
export class FileTransport extends Transport {
  /** The last write error; undefined again after a write has succeeded. */
  failure: Error | undefined;
  readonly #fd: number;
  readonly #durability: FileTransportOptions['durability'];
  #lines: string[] = [];
  #waiting: Written[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #lazy: NodeJS.Timeout | undefined;
  #torn: boolean;

  /** Throws when the file cannot be opened, or is one that others can write. */
  constructor({ file, durability }: FileTransportOptions) {
    super();
    this.#durability = durability;
    fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.#fd = fs.openSync(file, 'a+', 0o600);
    closeToOthers(file, this.#fd);
    this.#torn = endsWithoutNewline(this.#fd);
  }

  override log(entry: Entry, next: () => void): void {
    const line = `${String(entry[MESSAGE])}\n`;
    const written = entry[WRITTEN] as Written | undefined;
    if (this.#bytes + line.length > MAX_WAITING) written?.(new Error('too many records wait for the disk'));
    else {
      this.#lines.push(line);
      this.#bytes += line.length;
      if (written) this.#waiting.push(written);
      if (entry[URGENT]) this.#start();
      else if (!this.#writing) this.#lazy ??= setTimeout(() => this.#start(), LAZY_MS);
    }
    next();
  }

  /** Resolves when everything logged so far has been written or has failed. */
  async flushed(): Promise<void> {
    if (this.#lines.length > 0) this.#start();
    while (this.#writing) await this.#writing;
  }

  /** Writes what is left and closes the file. */
  async shut(): Promise<void> {
    await this.flushed();
    fs.closeSync(this.#fd);
  }

  #start(): void {
    clearTimeout(this.#lazy);
    this.#lazy = undefined;
    this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#lines.length > 0) {
      // Entries that arrive in the same turn of the event loop go into the same write.
      await new Promise(setImmediate);
      const [text, waiting] = [this.#lines.join(''), this.#waiting];
      [this.#lines, this.#waiting, this.#bytes] = [[], [], 0];
      this.failure = await this.#write(text);
      for (const written of waiting) written(this.failure);
    }
    this.#writing = undefined;
  }

  async #write(text: string): Promise<Error | undefined> {
    try {
      // A write that failed half-way may have left part of a line, so the next record starts on a line of its
      // own.
      const data = Buffer.from(this.#torn ? `\n${text}` : text);
      for (let at = 0; at < data.length; ) at += (await write(this.#fd, data, at)).bytesWritten;
      this.#torn = false;
      if (this.#durability !== 'os') await datasync(this.#fd);
      return undefined;
    } catch (thrown) {
      this.#torn = true;
      return thrown instanceof Error ? thrown : new Error(String(thrown));
    }
  }
}

/**
 * Whoever can write to the log can forge it, so such a file is refused: what stands in it may be forged already. It
 * says who did what (A03), so everybody else loses the right to read it; a group keeps its own, since those who ship
 * logs elsewhere often run as another user. A terminal, a pipe or a device has no content to protect.
 */
function closeToOthers(file: string, fd: number): void {
  const stat = fs.fstatSync(fd);
  if (process.platform === 'win32' || !stat.isFile()) return;
  const mode = stat.mode & 0o777;
  if ((mode & 0o022) === 0) {
    if ((mode & 0o007) !== 0) fs.fchmodSync(fd, mode & ~0o007);
    return;
  }
  fs.closeSync(fd);
  throw new OperatorError(
    `others can write to the decision log ${file} (mode ${mode.toString(8)}); look at what stands in it and run: chmod 600 ${file}`,
  );
}

function endsWithoutNewline(fd: number): boolean {
  const { size } = fs.fstatSync(fd);
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  fs.readSync(fd, last, 0, 1, size - 1);
  return last[0] !== 0x0a;
}
