// Compares what two files have of the same numbers of a chain.
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { hashOf, linkOf } from '../chain/chain.ts';
import { checkpointOf } from '../chain/checkpoint.ts';
import type { Piece } from './pieces.ts';
import type { ScannedFile } from './scan-all.ts';

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
  for await (const text of linesOf(file)) {
    const line = Buffer.from(text);
    const link = linkOf(line) ?? checkpointOf(line);
    if (link?.chain !== chain || link.seq < from) continue;
    if (link.seq > to) return;
    yield { seq: link.seq, hash: hashOf(line) };
  }
}

/** The text of a line, which are counted from 1. */
export async function lineAt(file: ScannedFile, number: number): Promise<string | undefined> {
  let at = 0;
  for await (const line of linesOf(file)) {
    at += 1;
    if (at === number) return line;
  }
  return undefined;
}

async function* linesOf({ file, packed }: ScannedFile): AsyncGenerator<string> {
  const raw = fs.createReadStream(file);
  const input = packed ? raw.pipe(createGunzip()) : raw;
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  try {
    for await (const line of lines) yield line;
  } catch {
    // A packed file may end in the middle, which is told elsewhere; what was read of it stands.
  } finally {
    lines.close();
    raw.destroy();
  }
}
