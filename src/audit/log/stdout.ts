// The log on standard output, for platforms that collect it there. Nothing is synced: a pipe has no disk.
import fs from 'node:fs';
import { promisify } from 'node:util';

const write = promisify(fs.write) as (fd: number, data: Buffer, offset: number) => Promise<{ bytesWritten: number }>;

const STDOUT = 1;
/** How long to wait between two tries when the pipe is full, in milliseconds. */
const AGAIN_MS = 5;
/** How long a reader may read nothing until the write counts as failed, in milliseconds. */
const LONGEST_WAIT_MS = 10_000;

/** Makes the function by which several logs write there: one batch after the other, so that no line is cut by another. */
export function createStdout(): (data: Buffer) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (data) => {
    const turn = last.then(() => writeAll(data));
    last = turn.catch(() => {});
    return turn;
  };
}

async function writeAll(data: Buffer): Promise<void> {
  let progress = performance.now();
  for (let at = 0; at < data.length; ) {
    try {
      at += (await write(STDOUT, data, at)).bytesWritten;
      progress = performance.now();
    } catch (thrown) {
      // The pipe is full, and this process once set it not to wait.
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() - progress > LONGEST_WAIT_MS)
        throw thrown;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
