// Verifies logs (R-61): reads them, and judges what was found. Keys are given, and never taken from a log.
import { type Anchor, readAnchors } from './anchors.ts';
import { judgeChain, type Known } from './chains.ts';
import { lineAt } from './compare.ts';
import type { ChainReport, Finding, Gap, Report } from './findings.ts';
import { type Excuses, type Piece, pieceOf } from './pieces.ts';
import { keyObjects, type PublicKey, readPublicKeys } from './public-keys.ts';
import type { Mark, Strange, Told } from './scan.ts';
import { type ScannedFile, scanAll } from './scan-all.ts';

export interface VerifyOptions {
  files: readonly string[];
  /** Files of "sallyport audit keys export". */
  keys: readonly string[];
  anchors: readonly string[];
  onProgress?: (read: number, all: number) => void;
  threads?: number;
}

/** Rejects with an OperatorError for a file that cannot be read, or keys or an anchor that are none. */
export async function verifyLogs({ files, keys, anchors, ...options }: VerifyOptions): Promise<Report> {
  const given = readPublicKeys(keys);
  const anchored = readAnchors(anchors, keyObjects(given));
  return judge(await scanAll({ files, keys: given, ...options }), given, anchored);
}

/** Judges scans. */
export async function judge(
  files: readonly ScannedFile[],
  keys: readonly PublicKey[],
  anchors: ReadonlyMap<string, Anchor>,
): Promise<Report> {
  const marks = files.flatMap(({ scan }) => scan.marks);
  const told = files.flatMap(({ scan }) => scan.told);
  const signedTo = lastSigned(marks);
  const believed = told.filter(({ chain, seq }) => seq < (signedTo.get(chain) ?? 0));
  const gaps = gapsOf(believed);
  const excuses = excusesOf(believed, told, signedTo);
  const findings: Finding[] = [];
  const ofSigning: Finding[] = [];
  const used = new Set<Strange>();
  const pieces = new Map<string, Piece[]>();
  for (const file of files)
    for (const chain of new Set(file.scan.runs.map((run) => run.chain))) {
      const found = pieceOf(file, chain, excuses);
      pieces.set(chain, [...(pieces.get(chain) ?? []), found.piece]);
      findings.push(...found.findings);
      for (const strange of found.used) used.add(strange);
    }
  const known: Known = { marks, told, believed, keys, anchors, excuses, signedTo, gaps };
  const notes: string[] = [];
  const chains: ChainReport[] = [];
  for (const [chain, of] of pieces) {
    const judged = await judgeChain(chain, of, known);
    chains.push(judged.report);
    findings.push(...judged.findings);
    ofSigning.push(...judged.ofSigning);
    notes.push(...judged.notes);
  }
  const missingChains = anchorsWithout(pieces, marks, anchors);
  findings.push(...missingChains.findings, ...files.flatMap((file) => strangeIn(file, used, excuses)));
  notes.push(...missingChains.notes, ...files.flatMap((file) => notesOf(file, excuses)));
  const judged = [...inSignedPart(findings, signedTo), ...ofSigning].sort(byPlace(files));
  await nameDecision(judged[0], files);
  return {
    verdict: verdictOf(judged, chains),
    chains,
    findings: judged,
    gaps,
    notes,
    lines: files.reduce((sum, { scan }) => sum + scan.lines, 0),
    bytes: files.reduce((sum, { scan }) => sum + scan.bytes, 0),
  };
}

/** Adds the decision that the line of a finding is about, where it can be read there. */
async function nameDecision(finding: Finding | undefined, files: readonly ScannedFile[]): Promise<void> {
  const file = files.find((each) => each.file === finding?.file);
  if (!finding || !file || finding.line === null) return;
  const line = await lineAt(file, finding.line);
  const id = /"decision_id":"([\w-]{1,64})"/.exec(line ?? '')?.[1];
  if (id !== undefined) finding.decision_id = id;
}

/** By chain, the number of the last checkpoint that is signed. */
function lastSigned(marks: readonly Mark[]): ReadonlyMap<string, number> {
  const last = new Map<string, number>();
  for (const { chain, seq, valid } of marks) if (valid) last.set(chain, Math.max(seq, last.get(chain) ?? 0));
  return last;
}

/** What no checkpoint signs yet may be a fault of a disk as well. */
const inSignedPart = (findings: readonly Finding[], signedTo: ReadonlyMap<string, number>): Finding[] =>
  findings.map((finding) => {
    const { kind, chain, seq } = finding;
    const unsigned = chain !== null && seq !== null && seq > (signedTo.get(chain) ?? 0);
    if (!unsigned || !['edit', 'delete', 'insert', 'reorder'].includes(kind)) return finding;
    return { ...finding, kind: 'damage', message: `${finding.message} (no checkpoint signs this part yet)` };
  });

const byPlace = (files: readonly ScannedFile[]) => {
  const order = new Map(files.map(({ file }, i) => [file, i]));
  const of = ({ file }: Finding) => (file === null ? files.length : (order.get(file) ?? files.length));
  return (a: Finding, b: Finding): number => of(a) - of(b) || (a.line ?? 0) - (b.line ?? 0);
};

function verdictOf(findings: readonly Finding[], chains: readonly ChainReport[]): Report['verdict'] {
  if (findings.length > 0) return 'bad';
  if (chains.length === 0) return 'unchained';
  return chains.every(({ anchored, continued }) => anchored || continued) ? 'whole' : 'to_checkpoint';
}

function gapsOf(told: readonly Told[]): Gap[] {
  return told
    .filter(({ event }) => event === 'log_gap' || event === 'log_removed')
    .map(({ chain, event, fields }) => ({
      chain: typeof fields.of_chain === 'string' ? fields.of_chain : chain,
      from_seq: numberOr(fields.from_seq),
      to_seq: numberOr(fields.to_seq),
      cause: event === 'log_removed' ? 'removed' : String(fields.cause),
      at: String(fields.timestamp),
      refused: Array.isArray(fields.refused) ? fields.refused.length : 0,
      missing: 0,
    }));
}

const numberOr = (value: unknown): number | null => (typeof value === 'number' ? value : null);

/** A record that a checkpoint signs excuses what is missing. One that none signs yet excuses nothing that one signs. */
function excusesOf(believed: readonly Told[], all: readonly Told[], signedTo: ReadonlyMap<string, number>): Excuses {
  const torn = new Set(
    all.flatMap(({ fields }) => (Array.isArray(fields.torn_sha256) ? (fields.torn_sha256 as unknown[]) : [])),
  );
  const covers = (of: readonly Told[], chain: string, from: number, to: number) =>
    of.some(({ chain: its, seq, event, fields }) => {
      const before = typeof fields.of_chain === 'string' ? fields.of_chain : undefined;
      if ((before ?? its) !== chain || (event !== 'log_gap' && event !== 'log_removed')) return false;
      const [first, last] = [numberOr(fields.from_seq), numberOr(fields.to_seq)];
      if (first === null && last === null && fields.cause === 'write_failed') return false;
      return (first ?? 1) <= from && to <= (last ?? (before === undefined ? seq - 1 : Number.POSITIVE_INFINITY));
    });
  return {
    missing: (chain, from, to) =>
      covers(believed, chain, from, to) || (from > (signedTo.get(chain) ?? 0) && covers(all, chain, from, to)),
    torn: ({ hashes }) => hashes?.every((hash) => torn.has(hash)) ?? false,
  };
}

/** An anchor of a log that is there, but of a chain that is not: the files are older than it, or another's. */
function anchorsWithout(
  pieces: ReadonlyMap<string, readonly Piece[]>,
  marks: readonly Mark[],
  anchors: ReadonlyMap<string, Anchor>,
): { findings: Finding[]; notes: string[] } {
  const findings: Finding[] = [];
  const notes: string[] = [];
  for (const { chain, seq, log, replica, timestamp } of anchors.values()) {
    if (pieces.has(chain)) continue;
    const same = marks.some((mark) => mark.log === log && mark.replica === replica);
    if (!same) notes.push(`the anchor of the ${log} of replica ${replica} is about none of these files`);
    else
      findings.push({
        ...{ kind: 'rolled_back', file: null, line: null, chain, seq },
        message: `the anchor says that the ${log} of replica ${replica} had reached record ${seq} of another chain at ${timestamp}, and nothing of that is here`,
      });
  }
  return { findings, notes };
}

/** Lines that stand in no chain, where the log does not say why. */
function strangeIn(file: ScannedFile, used: ReadonlySet<Strange>, excuses: Excuses): Finding[] {
  const { scan } = file;
  const findings: Finding[] = [];
  if (scan.problem !== undefined)
    findings.push({
      ...{ kind: 'unreadable', file: file.file, line: scan.lines, chain: null, seq: null },
      message: `it cannot be read any further: ${scan.problem}`,
    });
  if (scan.runs.length === 0) return findings;
  for (const one of scan.strange) {
    if (used.has(one) || excuses.torn(one) || isBefore(one, file) || (one.unended && !one.excess)) continue;
    findings.push(strangeFinding(file, one));
  }
  return findings;
}

function strangeFinding({ file, scan }: ScannedFile, { line, count, bytes }: Strange): Finding {
  const after = scan.runs.filter((run) => run.line < line).at(-1);
  const inside = after === undefined || after.lastLine > line;
  // A writer that found them says how long they were; a line that was torn has got its end since.
  const noticed = scan.told.some(
    ({ event, fields }) => event === 'log_foreign' && [0, 1].includes(bytes - Number(fields.bytes)),
  );
  const lines = count === 1 ? 'a line that stands' : `${count} lines that stand`;
  return {
    kind: noticed ? 'foreign_writer' : 'insert',
    message: `${lines} in no chain${noticed ? ', which the log noticed when they came' : ''}`,
    ...{ file, line, chain: after?.chain ?? null, seq: inside ? null : after.to + 1 },
  };
}

/** What a version without a chain has left at the beginning, as the first record of the chain says. */
function isBefore({ line, bytes }: Strange, { scan }: ScannedFile): boolean {
  if (line !== 1) return false;
  return scan.told.some(
    ({ event, fields }) =>
      event === 'log_started' &&
      typeof fields.unchained_bytes === 'number' &&
      // A line that was torn has got its end since.
      [0, 1].includes(bytes - fields.unchained_bytes),
  );
}

function notesOf(file: ScannedFile, excuses: Excuses): string[] {
  const { scan, file: name } = file;
  const notes: string[] = [];
  if (scan.runs.length === 0 && scan.lines > 0)
    notes.push(`${name}: no chain; a version before has written it, and nobody can say whether it is whole`);
  const replicas = new Set(scan.marks.filter(({ valid }) => valid).map(({ replica }) => replica));
  if (replicas.size > 1) notes.push(`${name}: ${replicas.size} replicas have written it: ${[...replicas].join(', ')}`);
  for (const one of scan.strange) {
    if (scan.runs.length > 0 && isBefore(one, file))
      notes.push(`${name}: its first ${one.count} lines are of a version without a chain, and cannot be judged`);
    else if (one.unended && !one.excess) notes.push(`${name}:${one.line}: the last line is torn`);
    else if (excuses.torn(one))
      notes.push(
        `${name}:${one.line}: ${one.count === 1 ? 'a torn line' : `${one.count} torn lines`}, as the log says`,
      );
  }
  return notes;
}
