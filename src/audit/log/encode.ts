// Lines of a log as bytes: linked to the line before, and signed where they are checkpoints.
import { hashOf, linked, type Position } from '../chain/chain.ts';
import { type CheckpointCause, signed } from '../chain/checkpoint.ts';
import type { SigningKey } from '../chain/keys.ts';

/** What is to be written: the text of a record, or a checkpoint, whose text depends on its place. */
export type Item = string | { checkpoint: CheckpointCause };

/** Lines that stand one after the other. */
export interface Encoded {
  readonly data: Buffer;
  readonly items: readonly Item[];
  /** For each item, where its line ends in `data`, line end included, and what the next is linked to. */
  readonly ends: readonly { readonly at: number; readonly position: Position }[];
  /** The line of the last checkpoint among them. */
  readonly checkpoint: string | undefined;
}

/** What a checkpoint is made with. */
export interface Signer {
  readonly key: SigningKey;
  /** The record of a checkpoint, without its place and signature. */
  record(cause: CheckpointCause): string;
}

/** `torn`: something stands behind the last line end, so the lines begin with an end of it. */
export function encode(items: readonly Item[], from: Position, torn: boolean, signer: Signer): Encoded {
  const texts: string[] = [];
  let size = torn ? 1 : 0;
  const ends: { at: number; position: Position }[] = [];
  let position = from;
  let checkpoint: string | undefined;
  for (const item of items) {
    const { text, hash } = lineOf(item, position, signer);
    texts.push(text);
    size += Buffer.byteLength(text) + 1;
    position = { chain: from.chain, seq: position.seq + 1, hash };
    ends.push({ at: size, position });
    if (typeof item !== 'string') checkpoint = text;
  }
  const data = Buffer.allocUnsafe(size);
  let at = 0;
  if (torn) data[at++] = NEWLINE;
  for (const text of texts) {
    at += data.write(text, at);
    data[at++] = NEWLINE;
  }
  return { data, items, ends, checkpoint };
}

const NEWLINE = 0x0a;

function lineOf(item: Item, position: Position, signer: Signer): { text: string; hash: string } {
  const text =
    typeof item === 'string'
      ? linked(item, position)
      : signed(linked(signer.record(item.checkpoint), position), signer.key);
  return { text, hash: hashOf(text) };
}
