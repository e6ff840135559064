// What of the files is signed: lines that lead, by their hashes, to a checkpoint whose signature is right. A number below that
// of a checkpoint proves nothing.
import type { Run, Told } from './scan/scan.ts';
import type { ScannedFile } from './scan/scan-all.ts';

/** A record of the log about itself, and the file in which it stands. */
export interface PlacedTold extends Told {
  file: ScannedFile;
}

export interface Trust {
  /** The number up to which a run is signed; 0 where it is not. */
  upTo(run: Run): number;
  /** Whether some file has a signed record of this number. */
  has(chain: string, seq: number): boolean;
  told: readonly PlacedTold[];
  /** Those of them that are signed. */
  believed: readonly PlacedTold[];
}

export function trustOf(files: readonly ScannedFile[]): Trust {
  const upTo = new Map<Run, number>();
  const byEnd = new Map<string, Run[]>();
  const runAt = (file: ScannedFile, { chain, seq, line }: { chain: string; seq: number; line: number }) =>
    file.scan.runs.find(
      (run) => run.chain === chain && run.from <= seq && seq <= run.to && run.line <= line && line <= run.lastLine,
    );
  for (const { scan } of files)
    for (const run of scan.runs) {
      const key = `${run.chain} ${run.to} ${run.hash}`;
      byEnd.set(key, [...(byEnd.get(key) ?? []), run]);
    }
  const reached: Run[] = [];
  for (const file of files)
    for (const mark of file.scan.marks) {
      const run = mark.valid ? runAt(file, mark) : undefined;
      if (!run) continue;
      if (!upTo.has(run)) reached.push(run);
      upTo.set(run, Math.max(mark.seq, upTo.get(run) ?? 0));
    }
  for (let run = reached.pop(); run; run = reached.pop())
    for (const before of byEnd.get(`${run.chain} ${run.from - 1} ${run.prev}`) ?? []) {
      if (upTo.get(before) === before.to) continue;
      upTo.set(before, before.to);
      reached.push(before);
    }
  const told = files.flatMap((file) => file.scan.told.map((each): PlacedTold => ({ ...each, file })));
  const believed = told.filter((each) => {
    const run = runAt(each.file, each);
    return run !== undefined && each.seq <= (upTo.get(run) ?? 0);
  });
  return {
    upTo: (run) => upTo.get(run) ?? 0,
    has: (chain, seq) => [...upTo].some(([run, last]) => run.chain === chain && run.from <= seq && seq <= last),
    told,
    believed,
  };
}
