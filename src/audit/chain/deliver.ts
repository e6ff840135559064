// Hands each checkpoint on at once, so that a copy stands where whoever can change the log cannot reach: into a second file,
// such as a mount that only takes appends, or to a command. Calls do not wait for it.
import { appendFile } from 'node:fs/promises';
import { messageOf } from '../../core/errors.ts';
import { runProgram } from './run-program.ts';

export interface DeliverOptions {
  file?: string | undefined;
  command?: readonly string[] | undefined;
  /** Told when it begins to fail, and (undefined) when it works again. */
  onProblem: (problem: string | undefined) => void;
}

export interface Delivery {
  deliver(line: string): void;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

/** How long a command may take, in milliseconds. */
const LONGEST_MS = 10_000;
/** Checkpoints that wait for their turn. Each signs all before it, so of more than these the newest are enough. */
const MOST_WAITING = 100;

export function createDelivery({ file, command, onProblem }: DeliverOptions): Delivery {
  const waiting: string[] = [];
  let working: Promise<void> | undefined;
  let failing = false;

  async function hand(line: string): Promise<void> {
    if (file !== undefined) await appendFile(file, `${line}\n`, { mode: 0o600 });
    if (command) await runProgram(command, `${line}\n`, LONGEST_MS);
  }

  async function work(): Promise<void> {
    for (let line = waiting.shift(); line !== undefined; line = waiting.shift()) {
      try {
        await hand(line);
        if (failing) onProblem(undefined);
        failing = false;
      } catch (thrown) {
        if (!failing) onProblem(messageOf(thrown));
        failing = true;
      }
    }
    working = undefined;
  }

  return {
    deliver(line) {
      if (file === undefined && !command) return;
      waiting.push(line);
      if (waiting.length > MOST_WAITING) waiting.shift();
      working ??= work();
    },
    async close() {
      await working;
    },
  };
}
