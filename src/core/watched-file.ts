// A small file that is read again when it changes. What cannot be used leaves the last good reading in
// force: an editor that is half-way through a save must not shut everybody out.
import { statSync } from 'node:fs';
import { messageOf } from './errors.ts';

export interface WatchedFile<T> {
  /** The last good reading. */
  readonly value: T;
  /** The file on disk cannot be used at present. For /readyz. */
  readonly stale: boolean;
  close(): void;
}

const LOOK_MS = 1000;

/** Reads at once, and throws what `read` throws; later problems go to `onProblem`. */
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
    close: () => clearInterval(timer),
  };
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino, mode } = statSync(path);
    return `${mtimeMs}:${size}:${ino}:${mode}`;
  } catch (thrown) {
    return messageOf(thrown);
  }
}
