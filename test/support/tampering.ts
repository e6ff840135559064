// What somebody does to a log who can write its files, with or without a key that signs.
import { readFileSync, writeFileSync } from 'node:fs';
import { linked, linkOf, type Position } from '../../src/audit/chain/chain.ts';
import { checkpointOf, signed } from '../../src/audit/chain/checkpoint.ts';
import type { SigningKey } from '../../src/audit/chain/keys.ts';
import { positionOf } from '../../src/audit/log/tail.ts';

export const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1);
export const writeLines = (file: string, lines: readonly string[]): void =>
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));

/** Changes the lines of a file. */
export const tamper = (file: string, change: (lines: string[]) => string[]): void =>
  writeLines(file, change(linesOf(file)));

const CHAIN = /,"chain":\{"id":"[0-9a-f]{16}","seq":\d+,"prev":"[0-9a-f]{64}"\}(?:,"signature":"[0-9a-f]{128}")?\}$/;

/** The record of a line, without its place and signature. */
export const recordOf = (line: string): string => line.replace(CHAIN, '}');

/**
 * Links all lines from `from` on anew, and signs their checkpoints where there is a key; without one the old signatures stay.
 */
export function rechained(lines: readonly string[], from: number, key?: SigningKey): string[] {
  const done = lines.slice(0, from);
  const before = done.at(-1);
  const first = lines[from] as string;
  const { chain } = linkOf(Buffer.from(first)) ?? checkpointOf(Buffer.from(first)) ?? { chain: '' };
  let at: Position = before ? (positionOf(Buffer.from(before)) as Position) : { chain, seq: 0, hash: '0'.repeat(64) };
  for (const line of lines.slice(from)) {
    const signature = /"signature":"([0-9a-f]{128})"\}$/.exec(line)?.[1];
    const text = linked(recordOf(line), at);
    const whole =
      signature === undefined ? text : key ? signed(text, key) : `${text.slice(0, -1)},"signature":"${signature}"}`;
    at = positionOf(Buffer.from(whole)) as Position;
    done.push(whole);
  }
  return done;
}
