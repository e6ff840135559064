// Where a log goes on after a start: behind its last whole line, if that is where the state folder says it must be. Else the
// start says what is missing, and nothing passes for a log that was never cut.
import { randomBytes } from 'node:crypto';
import { hashOf, ID_LENGTH, NOTHING_BEFORE, type Position } from '../chain/chain.ts';
import { SEALS } from '../chain/checkpoint.ts';
import type { KeptCheckpoint } from '../chain/head.ts';
import type { EventRecord } from '../records.ts';
import { linesFromEnd, linkOfLine, positionOf, type Tail, tailOf } from './tail.ts';

/** What the log says of itself: an event without time and form. */
export interface Told {
  event: 'log_started' | 'log_gap' | 'log_rotated' | 'log_torn' | 'log_foreign' | 'log_removed';
  fields: Omit<EventRecord, 'type' | 'event' | 'timestamp'>;
}

export interface Resumed {
  at: Position;
  /** What must be on record first. */
  told: Told[];
  /** Something stands behind the last line end, so the next line begins with one. */
  torn: boolean;
}

export interface ResumeOptions {
  /** The file as it is; undefined where the log is no file that can be read. */
  file: { fd: number; size: number } | undefined;
  /** The last checkpoint that this replica has made of this log. */
  kept: KeptCheckpoint | undefined;
  /** Whether a file beside it ends with that checkpoint: then the log was moved while nobody wrote. */
  movedAside: () => boolean;
}

/** Reads the end of a log. Throws what reading throws. */
export function resume({ file, kept, movedAside }: ResumeOptions): Resumed {
  const { line, torn } = file && file.size > 0 ? tailOf(file.fd, file.size) : EMPTY;
  const whole = line && positionOf(line);
  const last = wholeAfterAll(torn, whole) ?? whole;
  const tornTold: Told[] = torn.length > 0 && last === whole ? [tornLine(torn)] : [];
  const rest = { torn: torn.length > 0 };
  // A file with nothing but a torn beginning was new when its process was killed.
  const inFile = line !== undefined;
  const { at, told } = whereItEnds({ file, kept, last, movedAside, inFile });
  return { at, told: [...told, ...tornTold], ...rest };
}

const EMPTY: Tail = { line: undefined, torn: Buffer.alloc(0) };

/** A process that is killed between a line and its end leaves a line that is whole. */
function wholeAfterAll(torn: Buffer, before: Position | undefined): Position | undefined {
  const position = torn.length > 0 ? positionOf(torn) : undefined;
  if (!position) return undefined;
  const { prev } = linkOfLine(torn) ?? { prev: '' };
  const follows = before ? position.chain === before.chain && prev === before.hash : position.seq === 1;
  return follows ? position : undefined;
}

/** What stands where a line should, so that it is not taken for one that somebody has put in. */
export const tornLine = (torn: Buffer): Told => ({
  event: 'log_torn',
  fields: { torn_sha256: [hashOf(torn)] },
});

interface Ends extends Pick<ResumeOptions, 'file' | 'kept' | 'movedAside'> {
  last: Position | undefined;
  inFile: boolean;
}

function whereItEnds({ file, kept, last, movedAside, inFile }: Ends): Pick<Resumed, 'at' | 'told'> {
  if (!kept)
    return last ? newChain('state_lost', last, gap('state_lost', last.seq + 1, null)) : started(file?.size ?? 0);
  const end = endOf(kept);
  const sealed = SEALS.includes(kept.cause);
  if (!last) {
    // What follows the last checkpoint is not known, so a number may not be given twice.
    if (!inFile && (kept.cause === 'rotated' || movedAside())) return goOn(end, 'log_rotated', { cause: 'moved' });
    if (!file && sealed) return { at: end, told: [] };
    const missing = gap(inFile ? 'replaced' : 'absent', kept.from, sealed ? kept.seq : null);
    return sealed ? { at: end, told: [missing] } : newChain(missing.fields.cause as string, end, missing);
  }
  if (last.chain !== kept.chain) return newChain('replaced', end, gap('replaced', kept.from, sealed ? kept.seq : null));
  if (last.seq < kept.seq) {
    const missing = gap('shorter', last.seq + 1, sealed ? kept.seq : null);
    return sealed ? { at: end, told: [missing] } : newChain('shorter', end, missing);
  }
  if (file && leadsTo(file, last, kept)) return { at: last, told: [] };
  return newChain('changed', end, gap('changed', kept.seq + 1, null));
}

const endOf = ({ chain, seq, hash }: KeptCheckpoint): Position => ({ chain, seq, hash });

const goOn = (at: Position, event: Told['event'], fields: Told['fields']): Pick<Resumed, 'at' | 'told'> => ({
  at,
  told: [{ event, fields }],
});

const gap = (cause: string, from: number | null, to: number | null): Told => ({
  event: 'log_gap',
  fields: { cause, from_seq: from, to_seq: to },
});

const fresh = (): Position => ({
  chain: randomBytes(ID_LENGTH / 2).toString('hex'),
  seq: 0,
  hash: NOTHING_BEFORE,
});

/** The first chain of a log. What stood there before, from a version that had none, is named by its size. */
const started = (size: number): Pick<Resumed, 'at' | 'told'> =>
  goOn(fresh(), 'log_started', { cause: 'new', ...(size > 0 && { unchained_bytes: size }) });

const newChain = (cause: string, before: Position, missing: Told): Pick<Resumed, 'at' | 'told'> => ({
  at: fresh(),
  told: [
    {
      event: 'log_started',
      fields: { cause, before_chain: before.chain, before_seq: before.seq, before_hash: before.hash },
    },
    // What is missing is of the chain before, and has its numbers.
    { ...missing, fields: { ...missing.fields, of_chain: before.chain } },
  ],
});

/** Whether the lines behind the last checkpoint lead from it to the last line: as much is read as no checkpoint covers. */
function leadsTo(file: { fd: number; size: number }, last: Position, kept: KeptCheckpoint): boolean {
  let wanted: string | undefined;
  for (const line of linesFromEnd(file.fd, file.size)) {
    const link = linkOfLine(line);
    if (!link || link.chain !== last.chain) continue;
    const hash = hashOf(line);
    if (wanted !== undefined && hash !== wanted) return false;
    if (link.seq <= kept.seq) return hash === kept.hash;
    wanted = link.prev;
  }
  // The checkpoint closed the file before this one.
  return wanted === kept.hash;
}
