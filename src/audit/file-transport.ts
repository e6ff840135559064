// A winston transport that tells each writer when its line is durable. Lines that arrive while the
// disk is busy are written together, so the cost of a sync is shared by all calls waiting for it.
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MESSAGE } from 'triple-beam';
import Transport from 'winston-transport';

/** Set on a log entry by a writer that waits for it. Called exactly once. */
export const WRITTEN = Symbol('written');

export interface FileTransportOptions {
  file: string;
  durability: 'disk' | 'os';
}

/** Most bytes that may wait for the disk; beyond it entries fail, and their calls are refused. */
const MAX_WAITING = 16 * 1024 * 1024;

type Written = (error?: Error) => void;
type Entry = Record<symbol, unknown>;

export class FileTransport extends Transport {
  /** The last error while writing, until a write succeeds again. */
  failure: Error | undefined;
  readonly #options: FileTransportOptions;
  readonly #handle: Promise<FileHandle>;
  #lines: string[] = [];
  #waiting: Written[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #torn: boolean;

  constructor(options: FileTransportOptions) {
    super();
    this.#options = options;
    mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 });
    // Opened synchronously once, so that an unusable path is an error at start.
    this.#torn = endsWithoutNewline(options.file);
    this.#handle = open(options.file, 'a', 0o600);
    this.#handle.catch((error: Error) => {
      this.failure = error;
    });
  }

  override log(entry: Entry, next: () => void): void {
    const line = `${String(entry[MESSAGE])}\n`;
    const written = entry[WRITTEN] as Written | undefined;
    if (this.#bytes + line.length > MAX_WAITING) written?.(new Error('too many records wait for the disk'));
    else {
      this.#lines.push(line);
      this.#bytes += line.length;
      if (written) this.#waiting.push(written);
      this.#writing ??= this.#drain();
    }
    next();
  }

  /** Resolves when everything logged so far has been written or has failed. */
  async flushed(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async shut(): Promise<void> {
    await this.flushed();
    await this.#handle.then((handle) => handle.close()).catch(() => {});
  }

  async #drain(): Promise<void> {
    while (this.#lines.length > 0) {
      const [text, waiting] = [this.#lines.join(''), this.#waiting];
      [this.#lines, this.#waiting, this.#bytes] = [[], [], 0];
      const error = await this.#write(text);
      this.failure = error;
      for (const written of waiting) written(error);
    }
    this.#writing = undefined;
  }

  async #write(text: string): Promise<Error | undefined> {
    try {
      const handle = await this.#handle;
      // After a write that failed half way the next record starts on a line of its own.
      await handle.appendFile(this.#torn ? `\n${text}` : text);
      this.#torn = false;
      if (this.#options.durability === 'disk') await handle.datasync();
      return undefined;
    } catch (thrown) {
      this.#torn = true;
      return thrown instanceof Error ? thrown : new Error(String(thrown));
    }
  }
}

function endsWithoutNewline(file: string): boolean {
  const descriptor = openSync(file, 'a+', 0o600);
  try {
    const { size } = fstatSync(descriptor);
    if (size === 0) return false;
    const last = Buffer.alloc(1);
    readSync(descriptor, last, 0, 1, size - 1);
    return last[0] !== 0x0a;
  } finally {
    closeSync(descriptor);
  }
}
