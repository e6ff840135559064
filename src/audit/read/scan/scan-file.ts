// Reads a part of a file into a scan. A part begins behind the first line end at or after its beginning, and ends where the
// next one begins.
import fs from 'node:fs';
import { createGunzip } from 'node:zlib';
import { messageOf } from '../../../core/errors.ts';
import { keyObjects, type PublicKey } from '../public-keys.ts';
import { type Scan, Scanner } from './scan.ts';

export interface Part {
  file: string;
  /** Bytes of the file; of a packed one there is one part. */
  from: number;
  to: number;
  packed: boolean;
}

const BLOCK = 1024 * 1024;
const NEWLINE = 0x0a;

/** `onBytes` is told how much more of the file was read. */
export function scanPart(part: Part, keys: readonly PublicKey[], onBytes: (bytes: number) => void): Promise<Scan> {
  const scanner = new Scanner(keyObjects(keys));
  return part.packed ? scanPacked(part.file, scanner, onBytes) : Promise.resolve(scanPlain(part, scanner, onBytes));
}

function scanPlain({ file, from, to }: Part, scanner: Scanner, onBytes: (bytes: number) => void): Scan {
  const fd = fs.openSync(file, 'r');
  try {
    const block = Buffer.allocUnsafe(BLOCK);
    // The byte before says whether a line begins here.
    let at = from === 0 ? 0 : from - 1;
    let skipping = from > 0;
    for (;;) {
      const got = fs.readSync(fd, block, 0, BLOCK, at);
      if (got === 0) break;
      let begin = 0;
      if (skipping) {
        const end = block.subarray(0, got).indexOf(NEWLINE);
        begin = end === -1 ? got : end + 1;
        skipping = end === -1;
        // The line that begins before this part ends behind it: the part before has it all.
        if (at + begin >= to) return scanner.end();
      }
      const past = to - at;
      if (got >= past) {
        // The last line of this part may end behind it.
        const from = Math.max(begin, past - 1);
        const end = from < got ? block.subarray(from, got).indexOf(NEWLINE) : -1;
        if (end !== -1) {
          scanner.feed(block.subarray(begin, from + end + 1));
          onBytes(got);
          return scanner.end();
        }
      }
      scanner.feed(block.subarray(begin, got));
      onBytes(got);
      at += got;
    }
    return scanner.end();
  } catch (thrown) {
    return { ...scanner.end(), problem: messageOf(thrown) };
  } finally {
    fs.closeSync(fd);
  }
}

async function scanPacked(file: string, scanner: Scanner, onBytes: (bytes: number) => void): Promise<Scan> {
  const packed = fs.createReadStream(file, { highWaterMark: BLOCK });
  packed.on('data', (chunk) => onBytes(chunk.length));
  const plain = createGunzip({ chunkSize: BLOCK });
  packed.once('error', (error) => plain.destroy(error));
  try {
    for await (const block of packed.pipe(plain)) scanner.feed(block as Buffer);
    return scanner.end();
  } catch (thrown) {
    // What was read up to here stands.
    return { ...scanner.end(), problem: messageOf(thrown) };
  } finally {
    packed.destroy();
  }
}
