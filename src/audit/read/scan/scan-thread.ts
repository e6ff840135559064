// A thread that scans parts of files, one after the other, until it is ended.
import { parentPort, workerData } from 'node:worker_threads';
import type { PublicKey } from '../public-keys.ts';
import type { Scan } from './scan.ts';
import { type Part, scanPart } from './scan-file.ts';

/** What the thread says: how much it has read, or what it has found. */
export type Said = { bytes: number } | { scan: Scan } | { failed: string };

const keys = workerData as readonly PublicKey[];
const say = (said: Said): void => parentPort?.postMessage(said);

parentPort?.on('message', (part: Part) => {
  scanPart(part, keys, (bytes) => say({ bytes })).then(
    (scan) => say({ scan }),
    (thrown: unknown) => say({ failed: String(thrown) }),
  );
});
