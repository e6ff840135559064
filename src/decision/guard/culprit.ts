// Which rule an evaluation was in when it was cut. The module cannot be asked, so the same input is evaluated once more, in a
// thread of its own under a profiler: OPA names the functions of a module after its rules.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { PACKAGE_ROOT } from '../../core/paths.ts';

export interface Suspect {
  wasm: Uint8Array;
  settings: object;
  /** The input that was cut, as text. */
  input: string;
}

/** The built file, also where this one runs from its source: Node 20 loads no TypeScript. */
const FILE = join(PACKAGE_ROOT, 'dist/decision/guard/culprit-thread.js');
const LONGEST_MS = 5000;

/** Answers the path of the rule, or undefined where it cannot be told. Never rejects. */
export async function culpritOf(workerData: Suspect): Promise<string | undefined> {
  let worker: Worker | undefined;
  try {
    worker = new Worker(FILE, { workerData, resourceLimits: { maxOldGenerationSizeMb: 256 } });
    worker.unref();
    return await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(resolve, LONGEST_MS, undefined);
      timer.unref();
      const end = (rule?: unknown) => {
        clearTimeout(timer);
        resolve(typeof rule === 'string' ? rule : undefined);
      };
      worker?.once('message', end);
      worker?.once('error', () => end());
      worker?.once('exit', () => end());
    });
  } catch {
    return undefined;
  } finally {
    await worker?.terminate();
  }
}
