// The last resort against a rule that never ends: a thread that ends the process, after it has written down why. It comes
// to that only where an input that is small, of a tool that was never slow, holds the process.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { PACKAGE_ROOT } from '../../core/paths.ts';
import { type Death, readDeaths, writeDeaths } from './deaths.ts';
import { createPulse, type Pulse } from './pulse.ts';

/** What the thread is given. */
export interface Watched {
  shared: Pulse['shared'];
  tools: string[];
  file: string;
  tickMs: number;
  /** After how many ticks in one evaluation the process is held. */
  ticks: number;
}

export interface Watchdog {
  readonly pulse: Pulse;
  /** Whether an evaluation of this policy has held a process before, so that each of its inputs is guarded. */
  held(revision: string): boolean;
  /** Says which policy decides from now on. */
  decides(revision: string): void;
  /** Deaths that are not on record yet. */
  readonly unrecorded: readonly Death[];
  /** They are on record. Throws when that cannot be written. */
  recorded(): void;
  close(): Promise<void>;
}

/** The built file, also where this one runs from its source: Node 20 loads no TypeScript. */
const FILE = join(PACKAGE_ROOT, 'dist/decision/guard/watchdog-thread.js');
const TICK_MS = 250;
/** Five seconds in one evaluation. */
const TICKS = 20;

export interface WatchdogOptions {
  /** The file of deaths, in the state folder. */
  file: string;
  tools: readonly string[];
  /** Told why the thread is not there any more: nothing ends a held process then. */
  onProblem: (problem: string) => void;
}

export function openWatchdog({ file, tools, onProblem }: WatchdogOptions): Watchdog {
  const pulse = createPulse(tools);
  const { deaths, unreadable } = readDeaths(file);
  if (unreadable) onProblem(`${file} cannot be read, so every input is guarded; remove it when you know why`);
  const revisions = new Set(deaths.map(({ revision }) => revision));
  const workerData: Watched = { shared: pulse.shared, tools: [...tools], file, tickMs: TICK_MS, ticks: TICKS };
  const worker = new Worker(FILE, {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  worker.unref();
  let closed = false;
  const ended = (why: string) => !closed && onProblem(`nothing ends a rule that never ends any more: ${why}`);
  worker.on('error', (error) => ended(error.message));
  return {
    pulse,
    held: (revision) => unreadable || revisions.has(revision),
    decides: (revision) => worker.postMessage(revision),
    unrecorded: deaths.filter(({ recorded }) => !recorded),
    recorded: () =>
      writeDeaths(
        file,
        deaths.map((death) => ({ ...death, recorded: true })),
      ),
    async close() {
      closed = true;
      await worker.terminate();
    },
  };
}
