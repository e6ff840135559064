// Compares what two files have of the same numbers of a chain.
import fs from 'node:fs';
import { createGunzip } from 'node:zlib';
import { hashOf, linkOf } from '../chain/chain.ts';
import { checkpointOf } from '../chain/checkpoint.ts';
import type { Piece } from './pieces.ts';
import type { ScannedFile } from './scan/scan-all.ts';

/** The first number under which they have different records; undefined where they agree. */
export async function firstDifference(a: Piece, b: Piece): Promise<number | undefined> {
  const from = Math.max(a.first.from, b.first.from);
  const to = Math.min(a.last.to, b.last.to);
  const others = hashesOf(b, from, to);
  const known = new Map<number, string>();
  for await (const { seq, hash } of hashesOf(a, from, to)) {
    while (!known.has(seq)) {
      const next = await others.next();
      if (next.done) return undefined;
      known.set(next.value.seq, next.value.hash);
    }
    if (known.get(seq) !== hash) return seq;
    known.delete(seq);
  }
  return undefined;
}

async function* hashesOf(
  { file, chain }: Piece,
  from: number,
  to: number,
): AsyncGenerator<{ seq: number; hash: string }> {
  for await (const line of linesOf(file)) {
    const link = linkOf(line) ?? checkpointOf(line);
    if (link?.chain !== chain || link.seq < from || link.seq > to) continue;
    yield { seq: link.seq, hash: hashOf(line) };
  }
}

/** The text of a line, which are counted from 1. */
export async function lineAt(file: ScannedFile, number: number): Promise<string | undefined> {
  let at = 0;
  for await (const line of linesOf(file)) {
    at += 1;
    if (at === number) return line.toString();
  }
  return undefined;
}

/** Lines end with LF and with nothing else, as the scanner has them. */
async function* linesOf({ file, packed }: ScannedFile): AsyncGenerator<Buffer> {
  const raw = fs.createReadStream(file);
  let rest: Buffer[] = [];
  try {
    for await (const block of packed ? raw.pipe(createGunzip()) : raw) {
      const bytes = block as Buffer;
      let at = 0;
      for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
        yield Buffer.concat([...rest, bytes.subarray(at, end)]);
        [rest, at] = [[], end + 1];
      }
      rest.push(bytes.subarray(at));
    }
    const last = Buffer.concat(rest);
    if (last.length > 0) yield last;
  } catch {
    // A packed file may end in the middle, which is told elsewhere; what was read of it stands.
  } finally {
    raw.destroy();
  }
}

const NEWLINE = 0x0a;
