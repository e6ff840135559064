// Watches a small file and reads it again when it changes. When the new content cannot be used, the last good
// reading stays in force: an editor half-way through a save must not lock everybody out.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import { type Checked, UNCHANGED } from './reloadable.ts';
import type { SecretSource } from './secret-source.ts';

/** A file that is watched until `close`. */
export interface WatchedFile<T> {
  /** The last good reading. */
  readonly value: T;
  /** Why the file on disk cannot be used; undefined when it can. */
  readonly problem: string | undefined;
  /** Reads the file now, whether it looks changed or not. Throws what reading throws, and uses nothing of it yet. */
  check(): Checked;
  close(): void;
}

/** How often the file is looked at, in milliseconds. */
const LOOK_MS = 1000;

/** Reads the file at once, and throws what `read` throws. Later problems are given to `onProblem`. */
export function watchFile<T>(path: string, read: () => T, onProblem: (message: string) => void): WatchedFile<T> {
  // Before the file is read: what changes in between is seen by the next look.
  let stamp = stampOf(path);
  let content = contentOf(path);
  let value = read();
  let problem: string | undefined;
  const timer = setInterval(() => {
    const current = stampOf(path);
    if (current === stamp) return;
    stamp = current;
    try {
      content = contentOf(path);
      value = read();
      problem = undefined;
    } catch (thrown) {
      problem = messageOf(thrown);
      onProblem(problem);
    }
  }, LOOK_MS).unref();
  return {
    get value() {
      return value;
    },
    get problem() {
      return problem;
    },
    check() {
      const [current, present] = [stampOf(path), contentOf(path)];
      const fresh = read();
      if (present === content && problem === undefined) return UNCHANGED;
      return {
        result: 'changed',
        apply() {
          [value, stamp, content, problem] = [fresh, current, present, undefined];
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
  return { value, problem: undefined, check: () => UNCHANGED, close: () => {} };
}

/** What the file says, as a hash; a copy that keeps the times of a file shows nothing else. */
function contentOf(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch (thrown) {
    return messageOf(thrown);
  }
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino, mode } = statSync(path);
    return `${mtimeMs}:${size}:${ino}:${mode}`;
  } catch (thrown) {
    return messageOf(thrown);
  }
}
