// The last resort against a rule that never ends: a thread that ends the process, after it has written down why. It comes
// to that only where an input that is small, of a tool that was never slow, holds the process.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { PACKAGE_ROOT } from '../../core/paths.ts';
import { type Death, readDeaths, writeDeaths } from './deaths.ts';
import { type Beat, createBeat, createPulse, type Pulse } from './pulse.ts';

/** What the thread is given. */
export interface Watched {
  shared: Beat;
  tools: string[];
  file: string;
  tickMs: number;
  /** After how many ticks in one evaluation the process is held. */
  ticks: number;
}

/** A policy, as the thread names it. */
export type PolicyName = Pick<Death, 'revision' | 'wasm_sha256'>;

export interface Watchdog {
  /** Where the evaluations of a policy are seen. */
  pulseOf(policy: PolicyName): Pulse;
  /** Whether an evaluation of these rules has held a process before, so that each of their inputs is guarded. */
  held(wasmSha256: string): boolean;
  /** Deaths that are not on record yet. */
  readonly unrecorded: readonly Death[];
  /** They are on record. */
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
  const shared = createBeat();
  const { deaths, unreadable } = readDeaths(file);
  if (unreadable) onProblem(`${file} cannot be read, so every input is guarded; remove it when you know why`);
  if (process.pid === 1)
    onProblem('a process with the number 1 cannot end itself; start the container with an init (docker run --init)');
  const modules = new Set(deaths.map(({ wasm_sha256 }) => wasm_sha256));
  const workerData: Watched = { shared, tools: [...tools], file, tickMs: TICK_MS, ticks: TICKS };
  const worker = new Worker(FILE, {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  worker.unref();
  let closed = false;
  let policies = 0;
  const ended = (why: string) => !closed && onProblem(`nothing ends a rule that never ends any more: ${why}`);
  worker.on('error', (error) => ended(error.message));
  worker.on('exit', () => ended('its thread has ended'));
  return {
    pulseOf({ revision, wasm_sha256 }) {
      worker.postMessage({ revision, wasm_sha256 });
      policies += 1;
      return createPulse(shared, tools, policies - 1);
    },
    held: (wasmSha256) => unreadable || modules.has(wasmSha256),
    unrecorded: deaths.filter(({ recorded }) => !recorded),
    recorded() {
      try {
        writeDeaths(
          file,
          deaths.map((death) => ({ ...death, recorded: true })),
        );
      } catch {
        onProblem(`${file} cannot be written, so the next start records the same again`);
      }
    },
    async close() {
      closed = true;
      await worker.terminate();
    },
  };
}
