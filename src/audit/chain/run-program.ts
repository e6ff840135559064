// Runs a program that is configured, with something on its standard input. No shell is between, and its output goes nowhere.
import { spawn } from 'node:child_process';
import { messageOf } from '../../core/errors.ts';

/** Rejects when the program cannot be run, takes longer than `longestMs`, or does not end with 0. */
export function runProgram(
  [program, ...args]: readonly string[],
  input: string,
  longestMs: number,
  { signal, env }: { signal?: AbortSignal; env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program as string, args, {
      ...{ stdio: ['pipe', 'ignore', 'ignore'], timeout: longestMs, killSignal: 'SIGKILL' },
      ...{ ...(signal && { signal }), ...(env && { env }) },
    });
    child.once('error', (error) => reject(new Error(`${program}: ${messageOf(error)}`)));
    child.once('close', (code, ended) =>
      code === 0 ? resolve() : reject(new Error(`${program} ended with ${ended ?? code}`)),
    );
    // A program that reads nothing says what it thinks of it with its exit code.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
