// Decides the records of logs again, on all cores.
import { existsSync, realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { PACKAGE_ROOT } from '../../core/paths.ts';
import { counting, partsOf } from '../../formats/lines/files.ts';
import { readPart } from '../../formats/lines/part.ts';
import { inThreads } from '../../formats/lines/threads.ts';
import { Replayer, type Replaying } from './replayer.ts';
import { addTally, newTally, type Tally } from './tally.ts';

/** The built file, also where this one runs from its source: Node 20 loads no TypeScript. */
const THREAD = join(PACKAGE_ROOT, 'dist/policy/replay/replay-thread.js');
/** Less than this is decided before a thread has started, in bytes. */
const SMALL = 2 * 1024 * 1024;
/** Decisions cost more than reading, so the parts are smaller than those of a verification. */
const PART = 4 * 1024 * 1024;
/** A megabyte takes far less than a second, however busy the machine; a rule that runs away takes for ever. */
const SILENT_MS = 120_000;

export interface ReplayOptions extends Replaying {
  files: readonly string[];
  /** Told how much of all was read, in bytes on the disk. */
  onProgress?: ((read: number, all: number) => void) | undefined;
  /** How many threads; default: one for each core. */
  threads?: number | undefined;
}

/**
 * Replays logs, plain or packed by gzip, in any order. Rejects with an OperatorError for a file that cannot be read to its end,
 * or a policy that cannot be asked: a part of an answer would be taken for the whole.
 */
export async function replayLogs({ files, policy, before, onProgress, threads }: ReplayOptions): Promise<Tally> {
  // A file that is given twice is one.
  const cut = [...new Map(files.map((file) => [existsSync(file) ? realpathSync(file) : file, file])).values()].map(
    (file) => partsOf(file, PART),
  );
  const { all, onBytes } = counting(cut, onProgress);
  const parts = cut.flatMap((each) => each.parts);
  const replaying: Replaying = { policy, before };
  if (all > SMALL || threads !== undefined) {
    const told = { data: asked(replaying), count: threads ?? availableParallelism(), onBytes, silentMs: SILENT_MS };
    return (await inThreads<Tally>(parts, { file: THREAD, ...told })).reduce(addTally, newTally());
  }
  const replayer = new Replayer(replaying);
  const tally = newTally();
  for (const part of parts) {
    const problem = await readPart(part, (block) => replayer.feed(block), onBytes);
    addTally(tally, replayer.end());
    if (problem !== undefined) throw new OperatorError(`${part.file} cannot be read any further: ${problem}`);
  }
  return tally;
}

/** What a thread needs, without what it cannot be given. */
function asked({ policy, before }: Replaying): Replaying {
  const of = ({ module, settings, reasons, revision, reads }: Replaying['policy']) => ({
    ...{ module, settings, reasons, revision, reads },
  });
  return { policy: of(policy), ...(before && { before: of(before) }) };
}
