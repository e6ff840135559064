// A thread that scans parts of files, one after the other, until it is ended.
import { parentPort, workerData } from 'node:worker_threads';
import type { Part } from '../../../formats/lines/part.ts';
import type { Said } from '../../../formats/lines/threads.ts';
import type { PublicKey } from '../public-keys.ts';
import type { Scan } from './scan.ts';
import { scanPart } from './scan-file.ts';

const keys = workerData as readonly PublicKey[];
const say = (said: Said<Scan>): void => parentPort?.postMessage(said);

parentPort?.on('message', (part: Part) => {
  scanPart(part, keys, (bytes) => say({ bytes })).then(
    (found) => say({ found }),
    (thrown: unknown) => say({ failed: String(thrown) }),
  );
});
