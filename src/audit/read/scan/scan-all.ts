// Scans files on all cores: large ones in parts, packed ones each in one piece, small ones here.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../../core/paths.ts';
import { counting, PART, partsOf } from '../../../formats/lines/files.ts';
import { inThreads } from '../../../formats/lines/threads.ts';
import type { PublicKey } from '../public-keys.ts';
import { joined } from './join.ts';
import type { Scan } from './scan.ts';
import { scanPart } from './scan-file.ts';

/** The built file, also where this one runs from its source: Node 20 loads no TypeScript. */
const THREAD = join(PACKAGE_ROOT, 'dist/audit/read/scan/scan-thread.js');
/** Less than this is read before a thread has started, in bytes. */
const SMALL = 8 * 1024 * 1024;

export interface ScannedFile {
  readonly file: string;
  readonly packed: boolean;
  readonly scan: Scan;
}

export interface ScanOptions {
  files: readonly string[];
  keys: readonly PublicKey[];
  /** Told how much of all was read, in bytes on the disk. */
  onProgress?: ((read: number, all: number) => void) | undefined;
  /** How many threads; default: one for each core. */
  threads?: number;
  /** Size of a part, in bytes. */
  part?: number;
}

/** Rejects with an OperatorError for a file that cannot be read. */
export async function scanAll({ files, keys, onProgress, threads, part = PART }: ScanOptions): Promise<ScannedFile[]> {
  const cut = files.map((file) => partsOf(file, part));
  const { all, onBytes } = counting(cut, onProgress);
  const parts = cut.flatMap((each) => each.parts);
  let scans: Scan[] = [];
  if (all <= SMALL && threads === undefined) for (const one of parts) scans.push(await scanPart(one, keys, onBytes));
  else
    scans = await inThreads<Scan>(parts, {
      file: THREAD,
      data: keys,
      count: threads ?? availableParallelism(),
      onBytes,
    });
  let at = 0;
  return cut.map(({ file, packed, parts: { length } }) => {
    at += length;
    return { file, packed, scan: joined(scans.slice(at - length, at)) };
  });
}
