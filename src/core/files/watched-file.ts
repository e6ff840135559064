// Watches a small file and reads it again when it changes. When the new content cannot be used, the last good
// reading stays in force: an editor half-way through a save must not lock everybody out.
import { statSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import { type Checked, UNCHANGED } from './reloadable.ts';
import type { SecretSource } from './secret-source.ts';

/** A file that is watched until `close`. */
export interface WatchedFile<T> {
  /** The last good reading. */
  readonly value: T;
  /** True while the file on disk cannot be used. Reported by /readyz. */
  readonly stale: boolean;
  /** Reads the file now, whether it looks changed or not. Throws what reading throws, and uses nothing of it yet. */
  check(): Checked;
  close(): void;
}

/** How often the file is looked at, in milliseconds. */
const LOOK_MS = 1000;

/** Reads the file at once, and throws what `read` throws. Later problems are given to `onProblem`. */
export function watchFile<T>(path: string, read: () => T, onProblem: (message: string) => void): WatchedFile<T> {
  let value = read();
  let stamp = stampOf(path);
  let stale = false;
  const timer = setInterval(() => {
    const current = stampOf(path);
    if (current === stamp) return;
    stamp = current;
    try {
      value = read();
      stale = false;
    } catch (thrown) {
      stale = true;
      onProblem(messageOf(thrown));
    }
  }, LOOK_MS).unref();
  return {
    get value() {
      return value;
    },
    get stale() {
      return stale;
    },
    check() {
      const current = stampOf(path);
      if (current === stamp && !stale) return UNCHANGED;
      const fresh = read();
      return {
        result: 'changed',
        apply() {
          [value, stamp, stale] = [fresh, current, false];
        },
      };
    },
    close: () => clearInterval(timer),
  };
}

/** As `watchFile`; an environment variable stays what it was when the process began. */
export function watchSource<T>(
  source: SecretSource,
  read: () => T,
  onProblem: (message: string) => void,
): WatchedFile<T> {
  return 'file' in source ? watchFile(source.file, read, onProblem) : constantFile(read());
}

/** What never changes while the process runs. */
export function constantFile<T>(value: T): WatchedFile<T> {
  return { value, stale: false, check: () => UNCHANGED, close: () => {} };
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino, mode } = statSync(path);
    return `${mtimeMs}:${size}:${ino}:${mode}`;
  } catch (thrown) {
    return messageOf(thrown);
  }
}
