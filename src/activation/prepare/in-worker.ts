// Has a policy prepared in a thread of its own, within a bound.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Config } from '../../config/load.ts';
import { OperatorError } from '../../core/errors.ts';
import { PACKAGE_ROOT } from '../../core/paths.ts';
import { removeLayouts } from '../../policy/signed/open.ts';
import type { Prepared, Wanted } from './prepare.ts';
import type { Answer } from './worker.ts';

/** A compilation with the gate takes seconds. */
const LONGEST_MS = 120_000;
const HEAP_MB = 1024;

/** The built file, also where this one runs from its source: Node 20 loads no TypeScript. */
const FILE = join(PACKAGE_ROOT, 'dist/activation/prepare/worker.js');

/** Rejects with an OperatorError when the policy must not decide, or that could not be found out in time, or `signal` ends it. */
export async function prepareInWorker(
  config: Config,
  env: NodeJS.ProcessEnv,
  wanted: Wanted,
  signal?: AbortSignal,
): Promise<Prepared> {
  const worker = new Worker(FILE, {
    workerData: { config, env: { ...env }, wanted },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  worker.unref();
  let timer: NodeJS.Timeout | undefined;
  let answered = false;
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      timer = setTimeout(
        () => reject(new OperatorError(`it was not ready within ${LONGEST_MS / 1000} s: a rule of it may never end`)),
        LONGEST_MS,
      );
      signal?.addEventListener('abort', () => reject(new OperatorError('it was given up')), { once: true });
      worker.once('message', resolve);
      worker.once('error', (error) => reject(new OperatorError(`it ended the thread that tried it: ${error.message}`)));
      worker.once('exit', () => reject(new OperatorError('it ended the thread that tried it')));
    });
    answered = true;
    if (!answer.ok) throw new OperatorError(answer.problem);
    return answer.prepared;
  } finally {
    clearTimeout(timer);
    // A thread that waits for a file cannot be ended; nobody waits for it.
    void worker.terminate();
    if (!answered) removeLayouts();
  }
}
