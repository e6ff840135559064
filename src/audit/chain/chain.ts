// The hash chain of a log. Each line ends with its place in the chain and the SHA-256 of the line before it, so that
// anybody with a hash program can follow it, and nobody can change, take out or move a line without changing all that follow.
import { hash } from 'node:crypto';

/** A line of a chain, by which the next one is linked. */
export interface Position {
  /** Names the chain: random, and new where a log cannot be continued. */
  readonly chain: string;
  /** Counts the lines of the chain from 1; 0 before the first. */
  readonly seq: number;
  /** SHA-256 of the bytes of the line without its line end, in hex; zeros before the first. */
  readonly hash: string;
}

/** What a line says about its place: of the hashes, that of the line before. */
export interface Link {
  readonly chain: string;
  readonly seq: number;
  readonly prev: string;
}

export const ID_LENGTH = 16;
export const HASH_LENGTH = 64;
/** What stands for the hash of the line before the first. */
export const NOTHING_BEFORE = '0'.repeat(HASH_LENGTH);

export const hashOf = (line: Uint8Array | string): string => hash('sha256', line, 'hex');

/** The text of a record (one JSON object) with its place behind `after` in it, as the last member. */
export const linked = (record: string, { chain, seq, hash: prev }: Position): string =>
  `${record.slice(0, -1)},"chain":{"id":"${chain}","seq":${seq + 1},"prev":"${prev}"}}`;

const BEFORE_PREV = Buffer.from('","prev":"').subarray(1);
const BEFORE_SEQ = Buffer.from('","seq":');
const BEFORE_ID = Buffer.from(',"chain":{"id":"');
const END = Buffer.from('"}}');
const DIGIT_0 = 0x30;
/** Digits of the largest number that is exact. */
const LONGEST_SEQ = 16;

/**
 * Reads the place at the end of a line, which is `bytes` from `start` to `end` without its line end. It is looked for where
 * it must be and nothing else of the line is read, so what a record holds cannot be taken for it. undefined: there is none.
 */
export function linkOf(bytes: Buffer, start = 0, end = bytes.length): Link | undefined {
  let at = end - END.length;
  if (at < start || !sits(bytes, at, END)) return undefined;
  const prevAt = at - HASH_LENGTH;
  at = prevAt - BEFORE_PREV.length;
  if (at < start || !sits(bytes, at, BEFORE_PREV)) return undefined;
  let seq = 0;
  let scale = 1;
  const digitsEnd = at;
  while (at > start && isDigit(bytes[at - 1])) {
    at -= 1;
    seq += ((bytes[at] as number) - DIGIT_0) * scale;
    scale *= 10;
  }
  const digits = digitsEnd - at;
  if (digits === 0 || digits > LONGEST_SEQ || bytes[at] === DIGIT_0 || !Number.isSafeInteger(seq)) return undefined;
  at -= BEFORE_SEQ.length;
  if (at < start || !sits(bytes, at, BEFORE_SEQ)) return undefined;
  const idAt = at - ID_LENGTH;
  at = idAt - BEFORE_ID.length;
  if (at < start || !sits(bytes, at, BEFORE_ID)) return undefined;
  const chain = bytes.toString('latin1', idAt, idAt + ID_LENGTH);
  const prev = bytes.toString('latin1', prevAt, prevAt + HASH_LENGTH);
  return HEX.test(chain) && HEX.test(prev) ? { chain, seq, prev } : undefined;
}

const HEX = /^[0-9a-f]+$/;
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_0 + 9;

function sits(bytes: Buffer, at: number, what: Buffer): boolean {
  for (let i = 0; i < what.length; i += 1) if (bytes[at + i] !== what[i]) return false;
  return true;
}
