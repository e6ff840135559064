// The file in which alerts wait. A new alert is written before anything else happens, so a process that is killed in the middle
// leaves at most half a line, and what was written is there when it starts again. What became of alerts is written in the same
// turn of the event loop, many at once: should that be missing, a receiver gets a copy. Now and then what still waits is written
// anew, so that the file does not grow with what is done.
import { closeSync, fstatSync, fsync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
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

/** Below this a file is not worth being written anew, in bytes. */
const SMALL = 1024 * 1024;

/** The lines of the file before; empty where there is none. Throws what reading throws. */
export function readJournal(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw thrown;
  }
}

export function openJournal({ file, live, liveBytes, onFailing }: JournalOptions): Journal {
  let fd: number | undefined;
  let bytes = 0;
  let unsynced = false;
  let failing = false;
  /** Lines that are written in a moment. */
  let waiting = '';
  let soon: NodeJS.Immediate | undefined;

  function failed(thrown: unknown): void {
    if (!failing) onFailing(messageOf(thrown));
    failing = true;
  }

  function rewrite(): void {
    const partial = `${file}.${process.pid}.tmp`;
    try {
      const fresh = openSync(partial, 'w', 0o600);
      let written = 0;
      try {
        for (const line of live()) written += writeSync(fresh, `${line}\n`);
        renameSync(partial, file);
      } catch (thrown) {
        closeSync(fresh);
        throw thrown;
      }
      if (fd !== undefined) closeSync(fd);
      fd = fresh;
      waiting = '';
      bytes = written;
      unsynced = true;
      if (failing) onFailing(undefined);
      failing = false;
    } catch (thrown) {
      failed(thrown);
    }
  }

  function write(): void {
    clearImmediate(soon);
    soon = undefined;
    const text = waiting;
    waiting = '';
    if (text === '' || fd === undefined || failing) return;
    try {
      const whole = Buffer.byteLength(text);
      // A write that was cut short leaves half a line, behind which nothing could be read.
      if (writeSync(fd, text) < whole) throw new Error('the disk is full');
      bytes += whole;
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
      if (failing || !isThere(file, fd) || bytes > SMALL + 2 * liveBytes()) rewrite();
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
