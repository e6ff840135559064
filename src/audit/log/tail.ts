// Reads a log from its end: where the next line is linked to, and whether the last one is torn.
import fs from 'node:fs';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { hashOf, type Link, linkOf, type Position } from '../chain/chain.ts';
import { checkpointOf } from '../chain/checkpoint.ts';

const NEWLINE = 0x0a;
const CHUNK = 64 * 1024;

/** The end of a log: its last whole line, if any, and what stands behind its line end. */
export interface Tail {
  readonly line: Buffer | undefined;
  readonly torn: Buffer;
}

/** The lines of a file from the last to the first, without their ends. The first of them is what follows the last line end, often empty. */
export function* linesFromEnd(fd: number, size: number): Generator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for (let end = size; end > 0; ) {
    const begin = Math.max(0, end - CHUNK);
    let bytes: Buffer = Buffer.concat([readAt(fd, begin, end - begin), rest]);
    for (;;) {
      const at = bytes.lastIndexOf(NEWLINE);
      if (at === -1) break;
      yield bytes.subarray(at + 1);
      bytes = bytes.subarray(0, at);
    }
    rest = bytes;
    end = begin;
  }
  yield rest;
}

export function tailOf(fd: number, size: number): Tail {
  const lines = linesFromEnd(fd, size);
  const torn = lines.next().value as Buffer;
  const line = lines.next().value as Buffer | undefined;
  return { line, torn };
}

/** Where the first line of a file stands in its chain, or undefined: it stands in none. */
export function firstLinkOf(fd: number, size: number): Link | undefined {
  for (let length = CHUNK; ; length *= 4) {
    const bytes = readAt(fd, 0, Math.min(length, size));
    const end = bytes.indexOf(NEWLINE);
    if (end !== -1) return linkOfLine(bytes.subarray(0, end));
    if (length >= size) return undefined;
  }
}

/** The place of a line, whether it is a checkpoint or not. */
export const linkOfLine = (line: Buffer): Link | undefined => linkOf(line) ?? checkpointOf(line);

/** What the next line is linked to. */
export function positionOf(line: Buffer): Position | undefined {
  const link = linkOfLine(line);
  return link && { chain: link.chain, seq: link.seq, hash: hashOf(line) };
}

/** Reads exactly so many bytes, or fewer at the end of the file. */
export function readAt(fd: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let got = 0;
  while (got < length) {
    const read = fs.readSync(fd, bytes, got, length - got, at + got);
    if (read === 0) break;
    got += read;
  }
  return bytes.subarray(0, got);
}

export const unreadable = (path: string, thrown: unknown): OperatorError =>
  new OperatorError(`the log ${path} cannot be read: ${(thrown as NodeJS.ErrnoException).code ?? messageOf(thrown)}`);
