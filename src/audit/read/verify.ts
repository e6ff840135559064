// Verifies logs (R-61): reads them, and judges what was found. Keys are given, and never taken from a log.
import { type Anchor, readAnchors } from './anchors.ts';
import { judgeChain, type Known, unlinked } from './chains.ts';
import { lineAt } from './compare.ts';
import { type Excuses, excusesOf, gapsOf } from './excuses.ts';
import type { ChainReport, Finding, Report } from './findings.ts';
import { type Piece, pieceOf } from './pieces.ts';
import { keyObjects, type PublicKey, readPublicKeys } from './public-keys.ts';
import type { Mark, Strange } from './scan/scan.ts';
import { type ScannedFile, scanAll } from './scan/scan-all.ts';
import { type Trust, trustOf } from './trust.ts';

export interface VerifyOptions {
  files: readonly string[];
  /** Only this log is given, so the anchors of the other are left aside. */
  log?: string | undefined;
  /** Files of "sallyport audit keys export". */
  keys: readonly string[];
  /**
   * No key is at hand: whatever a checkpoint is signed with, it is taken for one. That finds what was damaged, and what was
   * changed by somebody who did not go to the trouble of linking it anew.
   */
  linksOnly?: boolean;
  anchors: readonly string[];
  onProgress?: (read: number, all: number) => void;
  threads?: number;
}

/** Rejects with an OperatorError for a file that cannot be read, or keys or an anchor that are none. */
export async function verifyLogs(given: VerifyOptions): Promise<Report> {
  const { files, keys, anchors, log, linksOnly = false, ...options } = given;
  const known = readPublicKeys(keys);
  const all = readAnchors(anchors, keyObjects(known));
  const anchored = new Map([...all].filter(([, anchor]) => log === undefined || anchor.log === log));
  const scanned = await scanAll({ files, keys: known, ...options });
  if (linksOnly) for (const { scan } of scanned) for (const mark of scan.marks) mark.valid = true;
  return judge(scanned, known, anchored, linksOnly);
}

/** Judges scans. */
export async function judge(
  files: readonly ScannedFile[],
  keys: readonly PublicKey[],
  anchors: ReadonlyMap<string, Anchor>,
  linksOnly = false,
): Promise<Report> {
  const marks = files.flatMap(({ scan }) => scan.marks);
  const trust = trustOf(files);
  const signedTo = lastSigned(marks);
  const gaps = gapsOf(trust);
  const excuses = excusesOf(files, trust, signedTo, anchors);
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
  const known: Known = {
    marks,
    trust,
    keys: linksOnly ? undefined : keys,
    anchors,
    excuses,
    signedTo,
    gaps,
    chains: new Set(pieces.keys()),
  };
  const notes: string[] = [];
  const chains: ChainReport[] = [];
  for (const [chain, of] of pieces) {
    const judged = await judgeChain(chain, of, known);
    chains.push(judged.report);
    findings.push(...judged.findings);
    ofSigning.push(...judged.ofSigning);
    notes.push(...judged.notes);
  }
  const found = [...findings, ...ofSigning];
  for (const of of pieces.values()) findings.push(...unlinked(of, found, notes, known));
  findings.push(...dropped(trust, chains));
  const missingChains = anchorsWithout(files, pieces, marks, anchors);
  findings.push(...missingChains.findings, ...files.flatMap((file) => strangeIn(file, used, excuses)));
  notes.push(...missingChains.notes, ...files.flatMap((file) => notesOf(file, excuses)));
  const judged = [...inSignedPart(findings, signedTo), ...ofSigning].sort(byPlace(files));
  await nameDecision(judged[0], files);
  return {
    verdict: verdictOf(judged, chains, missingChains.notes.length === 0),
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

function verdictOf(findings: readonly Finding[], chains: readonly ChainReport[], allThere: boolean): Report['verdict'] {
  if (findings.length > 0) return 'bad';
  if (chains.length === 0) return 'unchained';
  return allThere && chains.every(({ anchored, continued }) => anchored || continued) ? 'whole' : 'to_checkpoint';
}

/** A chain that went on from another one, which is not here although an older one is: it was taken out of the middle. */
function dropped({ believed }: Trust, chains: readonly ChainReport[]): Finding[] {
  const there = new Map(chains.map((each) => [each.chain, each]));
  return believed.flatMap(({ chain, event, fields, file, line }) => {
    const before = fields.before_chain;
    if (event !== 'log_started' || typeof before !== 'string' || there.has(before)) return [];
    const { log, replica } = there.get(chain) ?? {};
    const older = chains.some(
      (each) =>
        each.chain !== chain && each.log === log && each.replica === replica && !each.continued && !each.anchored,
    );
    const message = `the chain ${before}, from which this one goes on, is in none of the files`;
    return older ? [{ kind: 'delete' as const, message, file: file.file, line, chain, seq: null }] : [];
  });
}

/** An anchor of a log that is there, but of a chain that is not: the files are older than it, or hold something else. */
function anchorsWithout(
  files: readonly ScannedFile[],
  pieces: ReadonlyMap<string, readonly Piece[]>,
  marks: readonly Mark[],
  anchors: ReadonlyMap<string, Anchor>,
): { findings: Finding[]; notes: string[] } {
  const findings: Finding[] = [];
  const notes: string[] = [];
  const empty = files.find(({ scan }) => scan.runs.length === 0);
  for (const { chain, seq, log, replica, timestamp } of anchors.values()) {
    if (pieces.has(chain)) continue;
    const same = marks.some((mark) => mark.log === log && mark.replica === replica);
    if (!same && !empty)
      notes.push(
        `the anchor of the ${log} of replica ${replica} is about none of these files: give its files, or --log`,
      );
    else
      findings.push({
        ...{ kind: 'rolled_back', file: same ? null : (empty?.file ?? null), line: null, chain, seq },
        message: `the anchor says that the ${log} of replica ${replica} had reached record ${seq} of the chain ${chain} at ${timestamp}, and nothing of that is here`,
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
    if (used.has(one) || excuses.torn(file, one) || excuses.unchained(file, one) || (one.unended && !one.excess))
      continue;
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

function notesOf(file: ScannedFile, excuses: Excuses): string[] {
  const { scan, file: name } = file;
  const notes: string[] = [];
  if (scan.runs.length === 0 && scan.lines > 0)
    notes.push(`${name}: no chain; a version before has written it, and nobody can say whether it is whole`);
  const replicas = new Set(scan.marks.filter(({ valid }) => valid).map(({ replica }) => replica));
  if (replicas.size > 1) notes.push(`${name}: ${replicas.size} replicas have written it: ${[...replicas].join(', ')}`);
  for (const one of scan.strange) {
    if (scan.runs.length > 0 && excuses.unchained(file, one))
      notes.push(`${name}: its first ${one.count} lines are of a version without a chain, and cannot be judged`);
    else if (one.unended && !one.excess) notes.push(`${name}:${one.line}: the last line is torn`);
    else if (excuses.torn(file, one))
      notes.push(
        `${name}:${one.line}: ${one.count === 1 ? 'a torn line' : `${one.count} torn lines`}, as the log says`,
      );
  }
  return notes;
}
