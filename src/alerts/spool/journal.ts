// The file in which alerts wait. A new alert is written before anything else happens, so a process that is killed in the middle
// leaves at most half a line, and what was written is there when it starts again. What became of alerts is written in the same
// turn of the event loop, many at once: should that be missing, a receiver gets a copy. Now and then what still waits is written
// anew, so that the file does not grow with what is done.
import {
  closeSync,
  existsSync,
  fstatSync,
  fsync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { messageOf } from '../../core/errors.ts';

export interface Journal {
  /**
   * Appends one line; `later`: in a moment, with others. What cannot be written is told by `onFailing`; it is there again with
   * the next rewrite.
   */
  append(line: string, later?: 'later'): void;
  /** Has the disk keep what was written, and mends the file where it is not there any more or could not be written. */
  look(): void;
  readonly bytes: number;
  close(): void;
}

export interface JournalOptions {
  file: string;
  /** All lines that still count, for a file that is written anew. */
  live: () => Iterable<string>;
  /** About how many bytes those are. */
  liveBytes: () => number;
  /** The file cannot be written, or (undefined) can be again. */
  onFailing: (problem: string | undefined) => void;
}

/** The longest pause before a disk that takes nothing is tried again, in milliseconds. */
const LONGEST_PAUSE_MS = 60_000;
/** Below this a file is not worth being written anew, in bytes. */
const SMALL = 1024 * 1024;

/** Bytes that are read or written at once. */
const CHUNK = 1024 * 1024;

/** The lines of the file before, one by one: it may be larger than a text can be. Throws what reading throws. */
export function* readJournal(file: string): Generator<string> {
  if (!existsSync(file)) return;
  const fd = openSync(file, 'r');
  try {
    const chunk = Buffer.alloc(CHUNK);
    let rest = Buffer.alloc(0);
    for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) {
      let bytes = Buffer.concat([rest, chunk.subarray(0, read)]);
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
        if (end > 0) yield bytes.toString('utf8', 0, end);
        bytes = bytes.subarray(end + 1);
      }
      rest = bytes;
    }
    if (rest.length > 0) yield rest.toString('utf8');
  } finally {
    closeSync(fd);
  }
}

export function openJournal({ file, live, liveBytes, onFailing }: JournalOptions): Journal {
  let fd: number | undefined;
  let bytes = 0;
  let unsynced = false;
  let failing = false;
  let [tries, retryAt] = [0, 0];
  /** Lines that are written in a moment. */
  let waiting = '';
  let soon: NodeJS.Immediate | undefined;

  function failed(thrown: unknown): void {
    if (!failing) onFailing(messageOf(thrown));
    failing = true;
  }

  function rewrite(): void {
    const partial = `${file}.${process.pid}.tmp`;
    let fresh: number | undefined;
    try {
      fresh = openSync(partial, 'w', 0o600);
      let written = 0;
      for (const text of inChunks(live())) written += writeAll(fresh, text);
      // Else a power failure could leave an empty file under the name of the whole one.
      fsyncSync(fresh);
      renameSync(partial, file);
      if (fd !== undefined) closeSync(fd);
      fd = fresh;
      bytes = written;
      waiting = '';
      tries = 0;
      if (failing) onFailing(undefined);
      failing = false;
    } catch (thrown) {
      tries += 1;
      retryAt = performance.now() + Math.min(1000 * 2 ** tries, LONGEST_PAUSE_MS);
      failed(thrown);
      cleanUp(fresh, partial);
    }
  }

  function write(): void {
    clearImmediate(soon);
    soon = undefined;
    const text = waiting;
    waiting = '';
    if (text === '' || fd === undefined || failing) return;
    try {
      bytes += writeAll(fd, text);
      unsynced = true;
    } catch (thrown) {
      failed(thrown);
    }
  }

  rewrite();
  return {
    append(line, later) {
      waiting += `${line}\n`;
      if (later) soon ??= setImmediate(write);
      else write();
    },
    look() {
      write();
      if (failing ? performance.now() >= retryAt : !isThere(file, fd) || bytes > SMALL + 2 * liveBytes()) rewrite();
      if (!unsynced || fd === undefined) return;
      unsynced = false;
      fsync(fd, () => {});
    },
    get bytes() {
      return bytes;
    },
    close() {
      write();
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

/** What is left of a file that could not be written; where that cannot be removed it does no harm. */
function cleanUp(fd: number | undefined, file: string): void {
  try {
    if (fd !== undefined) closeSync(fd);
    rmSync(file, { force: true });
  } catch {
    // The disk is in trouble, which has been told.
  }
}

/** Throws where the disk takes only a part: half a line is left then, behind which nothing could be read. */
function writeAll(fd: number, text: string): number {
  const whole = Buffer.byteLength(text);
  if (writeSync(fd, text) < whole) throw new Error('the disk is full');
  return whole;
}

/** Lines, many together. */
function* inChunks(lines: Iterable<string>): Generator<string> {
  let text = '';
  for (const line of lines) {
    text += `${line}\n`;
    if (text.length < CHUNK) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

/** Whether the name still leads to the file that is written to. */
function isThere(file: string, fd: number | undefined): boolean {
  if (fd === undefined) return false;
  try {
    const [named, open] = [statSync(file), fstatSync(fd)];
    return named.ino === open.ino && named.dev === open.dev;
  } catch {
    return false;
  }
}
