// Runs OPA and hands on what it says.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OperatorError } from '../../core/errors.ts';
import type { Opa } from '../opa.ts';

const run = promisify(execFile);

/** Most memory of one run, in kilobytes of address space. */
const MOST_KB = 6 * 1024 * 1024;
/** Longest time of one run, in milliseconds. */
const LONGEST_MS = 60_000;

/** The messages of errors that OPA gives as JSON, each with its place; any other text as it is. */
function messagesOf(text: string): string {
  try {
    const { errors = [] } = JSON.parse(text) as {
      errors?: { message: string; location?: { file: string; row: number } }[];
    };
    return errors
      .map(({ message, location }) => (location ? `${location.file}:${location.row}: ${message}` : message))
      .join('\n');
  } catch {
    return text;
  }
}

/**
 * The command that runs OPA. A rule that builds a list of a hundred million items must not take the machine with it: on
 * Linux the memory of the process is limited, and elsewhere its time alone.
 */
const limited = (opa: Opa, args: string[]): [string, string[]] =>
  process.platform === 'linux'
    ? ['/bin/sh', ['-c', `ulimit -v ${MOST_KB}; exec "$0" "$@"`, opa.path, ...args]]
    : [opa.path, args];

/**
 * Runs OPA in a folder and answers its standard output. When OPA fails, its own message becomes an OperatorError; with
 * `reported`, a failure that comes with a report on standard output is answered by that report.
 */
export async function opaRun(opa: Opa, cwd: string, args: string[], reported = false): Promise<string> {
  try {
    const [file, all] = limited(opa, args);
    const options = { cwd, maxBuffer: 256 * 1024 * 1024, timeout: LONGEST_MS, killSignal: 'SIGKILL' } as const;
    return (await run(file, all, options)).stdout;
  } catch (thrown) {
    const { stderr = '', stdout = '', code } = thrown as { stderr?: string; stdout?: string; code?: unknown };
    const isReport = (text: string) => /^[[{]/.test(text) || args.includes('pretty');
    const report = [stdout, stderr].map((text) => text.trim()).find((text) => text !== '' && isReport(text));
    if (reported && typeof code === 'number' && report !== undefined) return report;
    const said = messagesOf((stderr + stdout).trim());
    const why = /out of memory|cannot allocate/.test(said)
      ? 'it ran out of memory: some rule builds something very large'
      : said || `it did not end within ${LONGEST_MS / 1000} s`;
    throw new OperatorError(`opa ${args[0]} failed in ${cwd}:\n${why}`);
  }
}
