// Runs the built command line as a user would, in a folder of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';

export const MAIN = join(PACKAGE_ROOT, 'dist', 'main.js');

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export function run(
  args: string[],
  { cwd = PACKAGE_ROOT, env = {} }: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, ...args],
      { cwd, env: { ...process.env, ...env }, timeout: 120_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
      },
    );
  });
}

export interface Served {
  child: ChildProcess;
  ready: { url: string; key_file: string; legacy_url: string; decision_log: string; policy_revision: string };
  /** Resolves with the exit code. */
  exited: Promise<number | null>;
}

/** Starts `serve --json` and waits until it says where it listens. */
export async function serve(cwd: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Served> {
  const child = spawn(process.execPath, [MAIN, 'serve', '--json', '--port', '0', ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  for await (const line of createInterface({ input: child.stdout })) return { child, ready: JSON.parse(line), exited };
  throw new Error('serve ended before it was ready');
}
