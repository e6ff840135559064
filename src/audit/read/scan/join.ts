// Puts the scans of the parts of one file together, as if it had been read in one piece.
import { earlier, hashesOf, type Run, type Scan } from './scan.ts';

/** The scan of a whole file. */
export function joined(parts: readonly Scan[]): Scan {
  const whole: Scan = { lines: 0, bytes: 0, runs: [], strange: [], marks: [], told: [], unsigned: {} };
  const open = new Map<string, Run>();
  for (const part of parts) {
    const { lines, bytes } = whole;
    const moved = <T extends { line: number }>(one: T): T => ({ ...one, line: one.line + lines });
    // Of a chain whose checkpoint stood in an earlier part, the first record behind it did, too.
    for (const mark of part.marks) {
      const since = earlier(whole.unsigned[mark.chain], mark.since);
      whole.marks.push({ ...moved(mark), since });
      delete whole.unsigned[mark.chain];
    }
    for (const [chain, since] of Object.entries(part.unsigned))
      whole.unsigned[chain] = earlier(whole.unsigned[chain], since);
    whole.told.push(...part.told.map(moved));
    for (const one of part.strange) {
      const before = whole.strange.at(-1);
      if (before && !one.unended && before.line + before.count === one.line + lines) {
        before.count += one.count;
        before.bytes += one.bytes;
        before.hashes = hashesOf(before.hashes, one.hashes);
      } else whole.strange.push({ ...moved(one), start: one.start + bytes });
    }
    for (const run of part.runs) {
      const at = { ...moved(run), lastLine: run.lastLine + lines };
      const placed = { ...at, start: run.start + bytes, end: run.end + bytes, lastStart: run.lastStart + bytes };
      const before = open.get(run.chain);
      if (before && before.hash === run.prev && before.to + 1 === run.from) {
        const { to, hash, lastLine, end, lastStart } = placed;
        Object.assign(before, { to, hash, lastLine, end, lastStart });
        continue;
      }
      whole.runs.push(placed);
      open.set(run.chain, placed);
    }
    whole.lines += part.lines;
    whole.bytes += part.bytes;
    if (part.problem !== undefined) whole.problem = part.problem;
  }
  return whole;
}
