// Judges one chain over all files: whether its pieces fit, who has signed it, and whether it goes as far as it should.

import { NOTHING_BEFORE } from '../chain/chain.ts';
import { SEALS } from '../chain/checkpoint.ts';
import type { Anchor } from './anchors.ts';
import { firstDifference } from './compare.ts';
import type { Excuses } from './excuses.ts';
import type { ChainReport, Finding, Gap } from './findings.ts';
import { at, type Piece } from './pieces.ts';
import type { PublicKey } from './public-keys.ts';
import type { Mark, Run } from './scan/scan.ts';
import type { Trust } from './trust.ts';

export interface Known {
  marks: readonly Mark[];
  trust: Trust;
  /** All chains that are in the files. */
  chains: ReadonlySet<string>;
  /** Undefined: signatures are not judged. */
  keys: readonly PublicKey[] | undefined;
  anchors: ReadonlyMap<string, Anchor>;
  excuses: Excuses;
  signedTo: ReadonlyMap<string, number>;
  gaps: Gap[];
}

interface Judged {
  report: ChainReport;
  findings: Finding[];
  /** About signatures: no fault of a disk signs anything. */
  ofSigning: Finding[];
  notes: string[];
}

/** A batch takes a moment from the time in its records to its checkpoint. */
const CLOCK_MS = 60_000;
/** Replicas read of a retired key a moment later. */
const RETIRED_MS = 600_000;

export async function judgeChain(chain: string, pieces: readonly Piece[], known: Known): Promise<Judged> {
  const sorted = [...pieces].sort((a, b) => a.first.from - b.first.from || b.last.to - a.last.to);
  const marks = known.marks.filter((mark) => mark.chain === chain).sort((a, b) => a.seq - b.seq);
  const [first] = sorted as [Piece, ...Piece[]];
  const judged: Judged = { report: reportOf(chain, sorted, marks, known), findings: [], ofSigning: [], notes: [] };
  const { findings, notes } = judged;
  beginning(first, known, judged);
  let end = first;
  for (const next of sorted.slice(1)) {
    const found = await joint(end, next, known);
    if (found && 'kind' in found) findings.push(found);
    else if (found) notes.push(found.note);
    if (next.last.to > end.last.to) end = next;
  }
  countMissing(chain, sorted, known.gaps);
  const orphan = orphaned(first, known);
  if (orphan) notes.push(orphan);
  judged.ofSigning.push(...signatures(first, marks, known));
  for (const short of [shortOf(end, marks, known), cutBefore(end, marks, known)]) if (short) findings.push(short);
  return judged;
}

function reportOf(chain: string, pieces: readonly Piece[], marks: readonly Mark[], known: Known): ChainReport {
  const good = marks.filter(({ valid }) => valid);
  const signed = good.at(-1);
  const to = Math.max(...pieces.map(({ last }) => last.to));
  const { log = null, replica = null } = signed ?? marks[0] ?? {};
  return {
    ...{ chain, log, replica, from_seq: pieces[0]?.first.from ?? 0, to_seq: to },
    signed_to: signed?.seq ?? null,
    signed_at: signed?.timestamp ?? null,
    signed_by: signed?.key ?? null,
    sealed: signed !== undefined && signed.seq === to && SEALS.includes(signed.cause),
    continued: known.trust.believed.some(
      ({ event, fields }) => event === 'log_started' && fields.before_chain === chain,
    ),
    anchored: known.anchors.has(chain),
  };
}

/** A chain may be read from any checkpoint on, and from any file that begins as files of a log do. */
function beginning({ file, chain, first }: Piece, { excuses }: Known, { findings, notes }: Judged): void {
  if (first.from === 1) {
    if (first.prev !== NOTHING_BEFORE) findings.push(at(file, first, 'edit', 'record 1 was changed'));
    return;
  }
  const before = first.from - 1;
  if (excuses.missing(chain, 1, before)) return;
  if (first.opens || excuses.begins(file, chain, before)) {
    notes.push(`${file.file}: begins with record ${first.from} of its chain; what was before is not among the files`);
    return;
  }
  const what = before === 1 ? 'record 1 is' : `records 1 to ${before} are`;
  findings.push(at(file, first, 'delete', `${what} missing, and no file of a log begins with such a record`));
}

/** What is wrong between two files, if anything is. */
async function joint(before: Piece, after: Piece, { excuses }: Known): Promise<Finding | { note: string } | undefined> {
  const [a, b] = [before.last, after.first];
  if (b.from === a.to + 1) {
    if (b.prev === a.hash) return undefined;
    const alone = after.runs[1];
    if (b.from === b.to && alone && alone.prev !== b.hash) return undefined;
    return at(before.file, endOf(a), 'edit', `record ${a.to} was changed`);
  }
  if (b.from > a.to + 1) {
    if (excuses.missing(a.chain, a.to + 1, b.from - 1)) return undefined;
    const message = `records ${a.to + 1} to ${b.from - 1} are in none of the files`;
    return at(after.file, { ...b, from: a.to + 1 }, 'delete', message);
  }
  const differs = await firstDifference(before, after);
  if (differs !== undefined)
    return at(
      after.file,
      { ...b, from: differs },
      'fork',
      `record ${differs} is another one than in ${before.file.file}`,
    );
  return { note: `${after.file.file} and ${before.file.file} have some records in common` };
}

const endOf = (run: Run) => ({ line: run.lastLine, chain: run.chain, from: run.to });

/** Of each gap that the log names, how many records are really not there. */
function countMissing(chain: string, pieces: readonly Piece[], gaps: Gap[]): void {
  const runs = pieces.flatMap((piece) => piece.runs).sort((a, b) => a.from - b.from);
  let next = 1;
  for (const run of runs) {
    for (const gap of gaps)
      if (gap.chain === chain && (gap.from_seq !== null || gap.to_seq !== null)) {
        const from = Math.max(next, gap.from_seq ?? 1);
        const to = Math.min(run.from - 1, gap.to_seq ?? run.from - 1);
        gap.missing += Math.max(0, to - from + 1);
      }
    next = Math.max(next, run.to + 1);
  }
}

/** Who has signed what, and when that was possible. */
function signatures({ file, chain, first }: Piece, marks: readonly Mark[], { keys }: Known): Finding[] {
  if (!keys) return [];
  const byId = new Map(keys.map((key) => [key.id, key]));
  const place = { chain, from: first.from, line: first.line };
  if (!marks.some(({ valid }) => valid)) {
    const strangers = [...new Set(marks.map(({ key }) => key))];
    const by = strangers.length === 0 ? 'nobody has signed' : `${strangers.join(', ')} has signed, which was not given`;
    return [at(file, place, 'foreign_writer', `records of a chain that ${by}`)];
  }
  const findings: Finding[] = [];
  let signed = first.from - 1;
  for (const mark of marks) {
    const { seq, valid, key: id, line, since, timestamp } = mark;
    const here = { chain, from: seq, line };
    const span = { ...here, from: Math.min(signed + 1, seq) };
    if (valid === undefined)
      findings.push(
        at(file, here, 'foreign_writer', `record ${seq} is signed with the key ${id}, which was not given`),
      );
    else if (!valid)
      findings.push(
        at(
          file,
          span,
          'edit',
          `records ${span.from} to ${seq} were written anew: the checkpoint there is not signed by the key ${id}`,
        ),
      );
    else {
      const { signs_from: from, retired_at: until } = byId.get(id) as PublicKey;
      const early = !(Math.min(timeOf(since), timeOf(timestamp)) >= Date.parse(from) - CLOCK_MS);
      const late = until !== null && !(timeOf(timestamp) <= Date.parse(until) + RETIRED_MS);
      if (early)
        findings.push(
          at(
            file,
            span,
            'resealed',
            `records ${span.from} to ${seq} are of ${since === '' ? 'no time' : since}, and signed with the key ${id}, which signs only from ${from} on`,
          ),
        );
      if (late)
        findings.push(
          at(
            file,
            span,
            'resealed',
            `records ${span.from} to ${seq} are signed with the key ${id}, which was retired at ${until}`,
          ),
        );
      signed = seq;
    }
  }
  return findings;
}

/** A time that is none, in a record that is signed, is none that a key could have signed at. */
const timeOf = (text: string): number => (TIME.test(text) ? Date.parse(text) : Number.NaN);
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Records below a checkpoint that do not lead to one: somebody has put them there, unless the log says what is missing behind. */
export function unlinked(
  pieces: readonly Piece[],
  found: readonly Finding[],
  notes: string[],
  { trust, excuses, signedTo }: Known,
): Finding[] {
  return pieces.flatMap(({ file, chain, runs }) =>
    runs.flatMap((run) => {
      const from = Math.max(run.from, trust.upTo(run) + 1);
      const to = Math.min(run.to, signedTo.get(chain) ?? 0);
      if (from > to || trust.has(chain, to)) return [];
      const told = found.some(
        (each) => each.chain === chain && (each.seq ?? 0) >= from - 1 && (each.seq ?? 0) <= to + 1,
      );
      if (told) return [];
      const range = from === to ? `record ${from}` : `records ${from} to ${to}`;
      if (excuses.missing(chain, to + 1, to + 1)) {
        notes.push(`${file.file}: ${range} before a gap ${from === to ? 'is' : 'are'} signed by no checkpoint`);
        return [];
      }
      return [
        at(file, { chain, from, line: run.line }, 'edit', `${range} lead${from === to ? 's' : ''} to no checkpoint`),
      ];
    }),
  );
}

/** The chain before this one is not among the files. */
function orphaned({ file, chain }: Piece, { trust, chains }: Known): string | undefined {
  const started = trust.believed.find((each) => each.chain === chain && each.event === 'log_started');
  const before = started?.fields.before_chain;
  if (typeof before !== 'string' || chains.has(before)) return undefined;
  return `${file.file}: goes on from record ${started?.fields.before_seq} of the chain ${before}, which is not among the files`;
}

/** Whether the chain goes as far as its anchor says. */
function shortOf({ file, chain, last }: Piece, marks: readonly Mark[], known: Known): Finding | undefined {
  const anchor = known.anchors.get(chain);
  if (!anchor) return undefined;
  if (last.to >= anchor.seq) {
    const here = marks.find(({ seq }) => seq === anchor.seq);
    if (here?.hash === anchor.hash || known.excuses.missing(chain, anchor.seq, anchor.seq)) return undefined;
    if (!here && last.from > anchor.seq) return undefined;
    const message = `record ${anchor.seq} is another one than the checkpoint that ${anchor.file} has`;
    return at(file, { chain, from: anchor.seq, line: here?.line ?? last.lastLine }, 'fork', message);
  }
  const lost = `the anchor has a checkpoint at record ${anchor.seq} of ${anchor.timestamp}, and the files end with record ${last.to}`;
  const looksWhole = marks.some(({ seq, valid }) => valid && seq === last.to);
  const place = { chain, from: last.to + 1, line: last.lastLine + 1 };
  return looksWhole
    ? at(file, place, 'rolled_back', `${lost}, as if that were all: they are an older state`)
    : at(file, place, 'truncated', lost);
}

/** Whether the chain ends where the one that goes on from it says. */
function cutBefore({ file, chain, last }: Piece, marks: readonly Mark[], known: Known): Finding | undefined {
  const next = known.trust.believed.find(
    ({ event, fields }) => event === 'log_started' && fields.before_chain === chain,
  );
  if (!next) return undefined;
  const seq = Number(next.fields.before_seq);
  const place = { chain, from: Math.min(last.to + 1, seq), line: last.lastLine };
  if (last.to < seq)
    return known.excuses.missing(chain, last.to + 1, seq)
      ? undefined
      : at(
          file,
          place,
          'truncated',
          `the log went on behind record ${seq}, and the files have it up to record ${last.to}`,
        );
  const there = last.to === seq ? last.hash : marks.find((mark) => mark.seq === seq)?.hash;
  return there === undefined || there === next.fields.before_hash
    ? undefined
    : at(file, place, 'fork', `record ${seq} is another one than the one that the log went on from`);
}
