// Compares what two files have of the same numbers of a chain.
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { hashOf, linkOf } from '../chain/chain.ts';
import { checkpointOf } from '../chain/checkpoint.ts';
import type { Piece } from './pieces.ts';

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
  const raw = fs.createReadStream(file.file);
  const lines = createInterface({
    input: file.packed ? raw.pipe(createGunzip()) : raw,
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  try {
    for await (const text of lines) {
      const line = Buffer.from(text);
      const link = linkOf(line) ?? checkpointOf(line);
      if (link?.chain !== chain || link.seq < from) continue;
      if (link.seq > to) return;
      yield { seq: link.seq, hash: hashOf(line) };
    }
  } finally {
    lines.close();
    raw.destroy();
  }
}
