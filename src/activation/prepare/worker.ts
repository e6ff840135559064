// The thread in which a policy is prepared. It answers once and ends.
import { parentPort, workerData } from 'node:worker_threads';
import type { Config } from '../../config/load.ts';
import { messageOf } from '../../core/errors.ts';
import { type Prepared, prepare, type Wanted } from './prepare.ts';

/** What the thread answers. */
export type Answer = { ok: true; prepared: Prepared } | { ok: false; problem: string };

const { config, env, wanted } = workerData as { config: Config; env: NodeJS.ProcessEnv; wanted: Wanted };
const answer = await prepare(config, env, wanted).then(
  (prepared): Answer => ({ ok: true, prepared }),
  (thrown: unknown): Answer => ({ ok: false, problem: messageOf(thrown) }),
);
parentPort?.postMessage(answer);
