// Reads a part of a file of lines. A part begins behind the first line end at or after its beginning, and ends where the next
// one begins, so the parts of a file hold each of its lines once.
import fs from 'node:fs';
import { createGunzip } from 'node:zlib';
import { messageOf } from '../../core/errors.ts';

export interface Part {
  file: string;
  /** Bytes of the file; of a packed one there is one part. */
  from: number;
  to: number;
  /** By gzip. */
  packed: boolean;
}

/** Takes blocks of a part one after the other. It may not keep one: the next is read into the same memory. */
export type Feed = (block: Buffer) => void;

const BLOCK = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * Reads a part. `onBytes` is told how much more of the file was read. Answers why it could not be read to its end, if so; what
 * was read before stands.
 */
export function readPart(part: Part, feed: Feed, onBytes: (bytes: number) => void): Promise<string | undefined> {
  return part.packed ? readPacked(part.file, feed, onBytes) : Promise.resolve(readPlain(part, feed, onBytes));
}

function readPlain({ file, from, to }: Part, feed: Feed, onBytes: (bytes: number) => void): string | undefined {
  let fd: number | undefined;
  try {
    fd = fs.openSync(file, 'r');
    const block = Buffer.allocUnsafe(BLOCK);
    // The byte before says whether a line begins here.
    let at = from === 0 ? 0 : from - 1;
    let skipping = from > 0;
    for (;;) {
      const got = fs.readSync(fd, block, 0, BLOCK, at);
      if (got === 0) return undefined;
      let begin = 0;
      if (skipping) {
        const end = block.subarray(0, got).indexOf(NEWLINE);
        begin = end === -1 ? got : end + 1;
        skipping = end === -1;
        // The line that begins before this part ends behind it: the part before has it all.
        if (at + begin >= to) return undefined;
      }
      const past = to - at;
      if (got >= past) {
        // The last line of this part may end behind it.
        const last = Math.max(begin, past - 1);
        const end = last < got ? block.subarray(last, got).indexOf(NEWLINE) : -1;
        if (end !== -1) {
          feed(block.subarray(begin, last + end + 1));
          onBytes(got);
          return undefined;
        }
      }
      feed(block.subarray(begin, got));
      onBytes(got);
      at += got;
    }
  } catch (thrown) {
    return messageOf(thrown);
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

async function readPacked(file: string, feed: Feed, onBytes: (bytes: number) => void): Promise<string | undefined> {
  const packed = fs.createReadStream(file, { highWaterMark: BLOCK });
  packed.on('data', (chunk) => onBytes(chunk.length));
  const plain = createGunzip({ chunkSize: BLOCK });
  packed.once('error', (error) => plain.destroy(error));
  try {
    for await (const block of packed.pipe(plain)) feed(block as Buffer);
    return undefined;
  } catch (thrown) {
    return messageOf(thrown);
  } finally {
    packed.destroy();
  }
}
