// What a log is held against: checkpoints that were kept where whoever can change the log cannot reach.

import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { OperatorError } from '../../core/errors.ts';
import { hashOf } from '../chain/chain.ts';
import { type Checkpoint, checkpointOf, isSignedWith } from '../chain/checkpoint.ts';

/** The last checkpoint of a chain. */
export interface Anchor extends Checkpoint {
  hash: string;
  file: string;
}

/**
 * Reads lines of checkpoints, or the file in the state folder that says where the logs end. Throws an OperatorError for what
 * is neither, and for a checkpoint that none of the keys has signed: such an anchor proves nothing.
 */
export function readAnchors(files: readonly string[], keys: ReadonlyMap<string, KeyObject>): Map<string, Anchor> {
  const anchors = new Map<string, Anchor>();
  for (const file of files)
    for (const line of linesOf(file)) {
      const checkpoint = checkpointOf(Buffer.from(line));
      if (!checkpoint) throw new OperatorError(`--anchor: ${file} holds something that is no checkpoint`);
      const key = keys.get(checkpoint.key);
      if (!key || !isSignedWith(checkpoint, key))
        throw new OperatorError(
          `--anchor: ${file} has a checkpoint (record ${checkpoint.seq}) that none of the given keys has signed`,
        );
      const before = anchors.get(checkpoint.chain);
      if (!before || before.seq < checkpoint.seq)
        anchors.set(checkpoint.chain, { ...checkpoint, hash: hashOf(line), file });
    }
  return anchors;
}

function linesOf(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new OperatorError(`--anchor: ${file} cannot be read: ${(thrown as NodeJS.ErrnoException).code}`);
  }
  try {
    const { checkpoints } = JSON.parse(text) as { checkpoints?: Record<string, string> };
    if (checkpoints) return Object.values(checkpoints);
  } catch {
    // Lines are no JSON together.
  }
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.length === 0) throw new OperatorError(`--anchor: ${file} is empty`);
  return lines;
}
