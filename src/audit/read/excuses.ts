// What the log itself says is missing, or is no line. It is believed where a checkpoint signs it; what none signs yet excuses
// nothing that one signs, and nothing that an anchor has.
import type { Anchor } from './anchors.ts';
import type { Gap } from './findings.ts';
import type { Run, Strange } from './scan/scan.ts';
import type { ScannedFile } from './scan/scan-all.ts';
import type { PlacedTold, Trust } from './trust.ts';

export interface Excuses {
  /** Whether all of these numbers may be missing. */
  missing(chain: string, from: number, to: number): boolean;
  /** Whether a file may begin behind this number of a chain. */
  begins(file: ScannedFile, chain: string, before: number): boolean;
  /** Whether lines of a file are parts of records that a failed write has left. */
  torn(file: ScannedFile, strange: Strange): boolean;
  /** Whether they are of a version without a chain. */
  unchained(file: ScannedFile, strange: Strange): boolean;
}

/** So many lines of the log about itself may stand between a torn line and the record that names it. */
const NEAR = 6;

interface Interval {
  chain: string;
  from: number;
  to: number;
}

export function excusesOf(
  files: readonly ScannedFile[],
  { told, believed }: Trust,
  signedTo: ReadonlyMap<string, number>,
  anchors: ReadonlyMap<string, Anchor>,
): Excuses {
  const runs = files.flatMap(({ scan }) => scan.runs);
  const signed = believed.flatMap((each) => intervalOf(each, runs));
  const all = told.flatMap((each) => intervalOf(each, runs));
  const bound = (chain: string) => Math.max(signedTo.get(chain) ?? 0, anchors.get(chain)?.seq ?? 0);
  const near = (of: readonly PlacedTold[], file: ScannedFile, { line, count, hashes }: Strange) =>
    hashes?.every((hash) =>
      of.some(
        (each) =>
          each.file === file &&
          each.line >= line + count &&
          each.line - (line + count) <= NEAR + count &&
          listed(each).includes(hash),
      ),
    ) ?? false;
  return {
    missing: (chain, from, to) =>
      covered(signed, chain, from, to) || (from > bound(chain) && covered(all, chain, from, to)),
    begins: (file, chain, before) =>
      believed.some(
        (each) =>
          each.file === file && each.chain === chain && each.event === 'log_gap' && each.fields.to_seq === before,
      ),
    torn(file, strange) {
      if (near(believed, file, strange)) return true;
      // In the tail that nothing signs yet, its own record is all there is.
      const after = file.scan.runs.filter((run) => run.line > strange.line || run.lastLine > strange.line);
      const unsigned = after.every((run) => run.to > bound(run.chain));
      return unsigned && near(told, file, strange);
    },
    unchained: (file, { line, count, bytes }) =>
      line === 1 &&
      believed.some(
        (each) =>
          each.file === file &&
          each.seq === 1 &&
          each.line === 1 + count &&
          each.event === 'log_started' &&
          // A line that was torn has got its end since.
          [0, 1].includes(bytes - Number(each.fields.unchained_bytes)),
      ),
  };
}

const listed = ({ fields }: PlacedTold): unknown[] => (Array.isArray(fields.torn_sha256) ? fields.torn_sha256 : []);
const numberOr = (value: unknown): number | null => (typeof value === 'number' ? value : null);
const chainOf = ({ chain, fields }: PlacedTold): string =>
  typeof fields.of_chain === 'string' ? fields.of_chain : chain;

/** The numbers that a record excuses. Where it does not know the first, it excuses none. */
function intervalOf(told: PlacedTold, runs: readonly Run[]): Interval[] {
  const { event, seq, fields } = told;
  const [from, last] = [numberOr(fields.from_seq), numberOr(fields.to_seq)];
  if ((event !== 'log_gap' && event !== 'log_removed') || from === null) return [];
  const chain = chainOf(told);
  const to = last ?? (chain === told.chain ? seq - 1 : Number.POSITIVE_INFINITY);
  if (event === 'log_gap') return [{ chain, from, to }];
  // What was removed is known by its hashes, and what is left must fit them.
  const [before, after] = [
    runs.find((run) => run.chain === chain && run.to === from - 1),
    runs.find((run) => run.chain === chain && run.from === to + 1),
  ];
  const fits = (!before || before.hash === fields.before_hash) && (!after || after.prev === fields.last_hash);
  return fits ? [{ chain, from, to }] : [];
}

/** Whether intervals of a chain cover these numbers together. */
function covered(intervals: readonly Interval[], chain: string, from: number, to: number): boolean {
  let next = from;
  for (;;) {
    const reach = Math.max(
      ...intervals
        .filter((each) => each.chain === chain && each.from <= next && each.to >= next)
        .map((each) => each.to),
    );
    if (reach < next) return false;
    if (reach >= to) return true;
    next = reach + 1;
  }
}

/** What is on record as missing, signed or not. */
export const gapsOf = ({ told, believed }: Trust): Gap[] =>
  told
    .filter(({ event }) => event === 'log_gap' || event === 'log_removed')
    .map((each) => ({
      chain: chainOf(each),
      from_seq: numberOr(each.fields.from_seq),
      to_seq: numberOr(each.fields.to_seq),
      cause: each.event === 'log_removed' ? 'removed' : String(each.fields.cause),
      at: String(each.fields.timestamp),
      refused: Array.isArray(each.fields.refused) ? each.fields.refused.length : 0,
      missing: 0,
      signed: believed.includes(each),
    }));
