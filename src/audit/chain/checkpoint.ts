// Signed checkpoints: a line of the log that signs its own place in the chain, and with it all lines before it. Whoever
// changes the log without the key can write the chain anew, and not the checkpoints.
import { type KeyObject, sign, verify } from 'node:crypto';
import { type Link, linkOf } from './chain.ts';
import type { SigningKey } from './keys.ts';

/**
 * Why there is a checkpoint: the log was opened, continued in another file, or closed; another key signs from here on; so many
 * records or seconds have passed; or something happened to the log that should be signed at once.
 */
export type CheckpointCause = 'opened' | 'rotated' | 'closed' | 'key' | 'records' | 'time' | 'event';

/** After these a log ends: nothing is missing behind them in this file. */
export const SEALS: readonly string[] = ['rotated', 'closed'] satisfies CheckpointCause[];

/** How the line of a checkpoint begins, whatever else it holds. */
export const CHECKPOINT_LINE = Buffer.from('{"level":"info","message":"checkpoint",');

const SIGNATURE = ',"signature":"';
/** 64 bytes in hex (RFC 8032). */
const SIGNATURE_LENGTH = 128;
const TAIL_LENGTH = SIGNATURE.length + SIGNATURE_LENGTH + 2;

/**
 * The line of a checkpoint, from its record that has its place in the chain. What is signed is the line as it stands, up to
 * the comma before `"signature"`: nothing is left out, and nothing must be put together again.
 */
export function signed(linkedRecord: string, { privateKey }: SigningKey): string {
  const statement = linkedRecord.slice(0, -1);
  return `${statement}${SIGNATURE}${sign(null, Buffer.from(statement), privateKey).toString('hex')}"}`;
}

/** What a checkpoint says. */
export interface Checkpoint extends Link {
  readonly cause: string;
  /** Which log: decisions or events. */
  readonly log: string;
  readonly key: string;
  readonly timestamp: string;
  readonly replica: string;
  /** The bytes that are signed, and the signature in hex. */
  readonly statement: Buffer;
  readonly signature: string;
}

/** Reads the line of a checkpoint, and believes nothing of it. undefined: it is none. */
export function checkpointOf(line: Buffer): Checkpoint | undefined {
  const at = line.length - TAIL_LENGTH;
  if (at <= 0 || !line.subarray(0, CHECKPOINT_LINE.length).equals(CHECKPOINT_LINE)) return undefined;
  if (line.toString('latin1', at, at + SIGNATURE.length) !== SIGNATURE) return undefined;
  const statement = line.subarray(0, at);
  const link = linkOf(Buffer.concat([statement, BRACE]));
  if (!link) return undefined;
  try {
    const { cause, log, key, timestamp, labels } = JSON.parse(line.toString()) as Record<string, unknown>;
    const replica = (labels as Record<string, unknown>).replica;
    const texts = { cause, log, key, timestamp, replica };
    if (Object.values(texts).some((text) => typeof text !== 'string')) return undefined;
    const signature = line.toString('latin1', at + SIGNATURE.length, line.length - 2);
    return { ...link, ...(texts as Record<keyof typeof texts, string>), statement, signature };
  } catch {
    return undefined;
  }
}

const BRACE = Buffer.from('}');

/** Hex in capitals would be the same signature in other bytes. */
export const isSignedWith = ({ statement, signature }: Checkpoint, key: KeyObject): boolean =>
  /^[0-9a-f]{128}$/.test(signature) && verify(null, statement, key, Buffer.from(signature, 'hex'));
