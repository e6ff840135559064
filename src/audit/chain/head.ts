// What a replica knows of its own logs besides the logs themselves: its id, and the last checkpoint of each. The next start
// compares a log with it, so that one which was cut while nobody wrote is noticed; and it serves as an anchor for a verifier.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { writePrivateFile } from '../../core/files/private-file.ts';
import { hashOf, ID_LENGTH } from './chain.ts';
import { type Checkpoint, checkpointOf } from './checkpoint.ts';

/** The logs that a replica writes, each with a chain of its own. */
export type LogName = 'decisions' | 'events';

/** The content of the file. A checkpoint is the line that stands in the log. */
export interface HeadFile {
  version: 1;
  /** Names the replica that writes: random, made with its state folder. */
  replica: string;
  checkpoints: Partial<Record<LogName, string>>;
  /** The number of the first line of the file in which that checkpoint stands. */
  from?: Partial<Record<LogName, number | null>>;
}

/** A checkpoint with its line, and the hash by which the next line is linked to it. */
export interface KeptCheckpoint extends Checkpoint {
  readonly line: string;
  readonly hash: string;
  /** The number of the first line of its file, where that is known. */
  readonly from: number | null;
}

export interface Head {
  readonly replica: string;
  /** The last checkpoint of a log. */
  of(log: LogName): KeptCheckpoint | undefined;
  /** Keeps one, in one step. Throws when the state folder cannot be written. */
  keep(log: LogName, line: string, from: number | null): void;
}

/** Opens the file, and makes it when there is none. Throws an OperatorError where it cannot be used. */
export function openHead(path: string): Head {
  let file: HeadFile = existsSync(path)
    ? readHead(path)
    : { version: 1, replica: randomBytes(ID_LENGTH / 2).toString('hex'), checkpoints: {} };
  const write = (): void => writePrivateFile(path, `${JSON.stringify(file)}\n`);
  if (!existsSync(path)) write();
  return {
    replica: file.replica,
    of(log) {
      const line = file.checkpoints[log];
      const checkpoint = line === undefined ? undefined : checkpointOf(Buffer.from(line));
      return line !== undefined && checkpoint
        ? { ...checkpoint, line, hash: hashOf(line), from: file.from?.[log] ?? null }
        : undefined;
    },
    keep(log, line, from) {
      file = {
        ...{ ...file, checkpoints: { ...file.checkpoints, [log]: line } },
        from: { ...file.from, [log]: from },
      };
      write();
    },
  };
}

function readHead(path: string): HeadFile {
  try {
    const read = JSON.parse(readFileSync(path, 'utf8')) as HeadFile;
    const lines = Object.values(read.checkpoints);
    if (read.version !== 1 || !/^[0-9a-f]{16}$/.test(read.replica) || lines.some((line) => typeof line !== 'string'))
      throw new Error('it is something else');
    return read;
  } catch (thrown) {
    throw new OperatorError(
      `${path} cannot be read: ${messageOf(thrown)}. It says where the logs ended: restore it, or move it away, and the gap is put on record`,
    );
  }
}
