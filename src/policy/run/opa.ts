// Runs OPA and hands on what it says.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OperatorError } from '../../core/errors.ts';
import type { Opa } from '../opa.ts';

const run = promisify(execFile);

/**
 * Runs OPA in a folder and answers its standard output. When OPA fails, its own message becomes an OperatorError; with
 * `reported`, a failure that comes with a report on standard output is answered by that report.
 */
export async function opaRun(opa: Opa, cwd: string, args: string[], reported = false): Promise<string> {
  try {
    return (await run(opa.path, args, { cwd, maxBuffer: 256 * 1024 * 1024, timeout: 120_000 })).stdout;
  } catch (thrown) {
    const { stderr = '', stdout = '', code } = thrown as { stderr?: string; stdout?: string; code?: unknown };
    const report = [stdout, stderr].map((text) => text.trim()).find((text) => /^[[{]/.test(text));
    if (reported && typeof code === 'number' && report !== undefined) return report;
    throw new OperatorError(`opa ${args[0]} failed in ${cwd}:\n${(stderr + stdout).trim()}`);
  }
}
