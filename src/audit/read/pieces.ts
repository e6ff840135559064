// What one file has of one chain: the runs that belong together, and what does not fit between them.
import type { Excuses } from './excuses.ts';
import type { Finding } from './findings.ts';
import type { Run, Strange } from './scan/scan.ts';
import type { ScannedFile } from './scan/scan-all.ts';

/** What a file has of a chain, from its first run to its last. */
export interface Piece {
  file: ScannedFile;
  chain: string;
  runs: readonly Run[];
  first: Run;
  last: Run;
}

/** Breaks of one file that are looked at one by one: beyond, it is not a log any more. */
const MOST_RUNS = 5000;

/** Finds the piece of a chain in a file, and what is wrong within it. */
export function pieceOf(
  file: ScannedFile,
  chain: string,
  excuses: Excuses,
): { piece: Piece; findings: Finding[]; used: ReadonlySet<Strange> } {
  const all = file.scan.runs.filter((run) => run.chain === chain);
  const runs = all.slice(0, MOST_RUNS);
  const spine = spineOf(runs);
  const inSpine = new Set(spine);
  const islands = runs.filter((run) => !inSpine.has(run));
  const used = new Set<Strange>();
  const findings: Finding[] = [];
  const taken = new Set<Run>();
  const [first, last] = [spine[0] as Run, spine.at(-1) as Run];
  spine.forEach((before, i) => {
    const after = spine[i + 1];
    if (!after) return;
    const found = between({ file, before, after, next: spine[i + 2], islands, taken, excuses, used });
    if (found) findings.push(found);
  });
  for (const island of islands) if (!taken.has(island)) findings.push(strayed(file, island, runs));
  if (all.length > runs.length)
    findings.push(at(file, all[MOST_RUNS] as Run, 'edit', 'and so many more breaks that they were not looked at'));
  return { piece: { file, chain, runs: spine, first, last }, findings, used };
}

/** Of runs in the order of the file, those with rising numbers that have the most lines together. */
function spineOf(runs: readonly Run[]): Run[] {
  if (runs.length === 1) return [...runs];
  // The best ends by their last number, kept so that a higher number always has more lines behind it.
  const ends: { to: number; weight: number; run: Run; before: Run | undefined }[] = [];
  const beforeOf = new Map<Run, Run | undefined>();
  for (const run of runs) {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] as { to: number }).to < run.from) low = middle + 1;
      else high = middle;
    }
    const best = ends[low - 1];
    const weight = (best?.weight ?? 0) + run.to - run.from + 1;
    beforeOf.set(run, best?.run);
    let place = low;
    while (place < ends.length && (ends[place] as { to: number }).to < run.to) place += 1;
    if (place > 0 && (ends[place - 1] as { weight: number }).weight >= weight) continue;
    let stop = place;
    while (stop < ends.length && (ends[stop] as { weight: number }).weight <= weight) stop += 1;
    ends.splice(place, stop - place, { to: run.to, weight, run, before: best?.run });
  }
  const spine: Run[] = [];
  for (let run = ends.at(-1)?.run; run; run = beforeOf.get(run)) spine.unshift(run);
  return spine;
}

interface Between {
  file: ScannedFile;
  before: Run;
  after: Run;
  next: Run | undefined;
  islands: readonly Run[];
  taken: Set<Run>;
  excuses: Excuses;
  used: Set<Strange>;
}

/** What is wrong between two runs, if anything is. */
function between(of: Between): Finding | undefined {
  const { file, before, after, next, islands, taken, excuses, used } = of;
  const missing = after.from - before.to - 1;
  const strange = file.scan.strange.filter(
    (one) => one.line > before.lastLine && one.line < after.line && !excuses.torn(file, one),
  );
  const strayed = islands.filter((run) => run.line > before.lastLine && run.line < after.line);
  const linked = missing === 0 && after.prev === before.hash;
  if (linked) return undefined;
  const elsewhere = missing > 0 ? islandsFor(before, after, islands) : undefined;
  if (elsewhere) {
    for (const run of elsewhere) taken.add(run);
    const [first] = elsewhere as [Run];
    return at(file, first, 'reorder', `record ${first.from} stands at another place than it was written`);
  }
  for (const one of strange) used.add(one);
  for (const run of strayed) taken.add(run);
  if (missing === 0) {
    // A single record between two breaks is what was changed; else it is the one before.
    const changed = after.from === after.to && next?.from === after.to + 1 && next.prev !== after.hash;
    return changed
      ? at(file, after, 'edit', `record ${after.from} was changed`)
      : at(
          file,
          { ...before, line: before.lastLine, from: before.to, start: before.lastStart },
          'edit',
          `record ${before.to} was changed`,
        );
  }
  if (strange.length === 0 && strayed.length === 0 && excuses.missing(before.chain, before.to + 1, after.from - 1))
    return undefined;
  const range = missing === 1 ? `record ${before.to + 1}` : `records ${before.to + 1} to ${after.from - 1}`;
  const place = { ...before, line: before.lastLine + 1, from: before.to + 1, start: before.end };
  if (strange.length > 0 || strayed.length > 0)
    return at(file, place, 'edit', `${range} ${missing === 1 ? 'was' : 'were'} changed`);
  return at(
    file,
    { ...place, line: after.line, start: after.start },
    'delete',
    `${range} ${missing === 1 ? 'is' : 'are'} missing`,
  );
}

/** Runs from another place of the file that fit exactly between two others. */
function islandsFor(before: Run, after: Run, islands: readonly Run[]): Run[] | undefined {
  const found: Run[] = [];
  let { to, hash } = before;
  while (to + 1 < after.from) {
    const next = islands.find((run) => run.from === to + 1 && run.prev === hash && run.to < after.from);
    if (!next) return undefined;
    found.push(next);
    ({ to, hash } = next);
  }
  return after.prev === hash && found.length > 0 ? found : undefined;
}

/** A run whose numbers are there already. Where something goes on from it, two have written the same chain. */
function strayed(file: ScannedFile, run: Run, runs: readonly Run[]): Finding {
  const continued = runs.some((other) => other !== run && other.prev === run.hash);
  return continued
    ? at(file, run, 'fork', `from record ${run.from} on the chain goes on in two ways`)
    : at(file, run, 'insert', `what stands here has the number ${run.from}, which another record has`);
}

/** A finding about the first line of a run. */
export const at = (
  { file, scan: _scan }: ScannedFile,
  { line, chain, from }: Pick<Run, 'line' | 'chain' | 'from'> & { start?: number },
  kind: Finding['kind'],
  message: string,
): Finding => ({ kind, message, file, line, chain, seq: from });
