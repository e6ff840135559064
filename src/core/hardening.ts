// what would let somebody read secrets out of this process is off, and a start with it turned on
// is refused.
import inspector from 'node:inspector';
import { OperatorError } from './errors.ts';

const FLAGS =
  /--(inspect|debug|tls-keylog|heapsnapshot-(signal|near-heap-limit)|heap-prof|cpu-prof|perf-|prof\b|report-|trace-tls|abort-on-uncaught|expose-internals)/;

/** Node reads "_" in an option as "-". */
const spelt = (options: string): string => options.replaceAll('_', '-');

/** What in this process or its environment opens a way to its memory; empty when nothing does. */
export function debuggingAids(
  env: NodeJS.ProcessEnv = process.env,
  execArgv: readonly string[] = process.execArgv,
): string[] {
  const found: string[] = [];
  for (const argument of execArgv) {
    const flag = FLAGS.exec(spelt(argument))?.[0];
    if (flag !== undefined) found.push(`the Node option ${argument.split('=')[0]}`);
  }
  const option = FLAGS.exec(spelt(env.NODE_OPTIONS ?? ''))?.[0];
  if (option !== undefined) found.push(`NODE_OPTIONS with ${option}`);
  for (const name of ['SSLKEYLOGFILE', 'NODE_DEBUG', 'NODE_DEBUG_NATIVE', 'NODE_V8_COVERAGE'])
    if (env[name]) found.push(`the environment variable ${name}`);
  if (inspector.url() !== undefined) found.push('an open inspector');
  return found;
}

/** Throws an OperatorError that names every debugging aid. */
export function refuseDebugging(env: NodeJS.ProcessEnv = process.env): void {
  const found = debuggingAids(env);
  if (found.length === 0) return;
  throw new OperatorError(
    `secrets could be read out of this process: ${found.join(', ')}. Remove it, or start with --allow-debugging`,
  );
}

/** SIGUSR1 opens an inspector unless somebody listens for it; a report would hold memory and environment. */
export function closeDebuggingDoors(onSignal: () => void): void {
  if (process.platform !== 'win32') process.on('SIGUSR1', onSignal);
  if (process.report) {
    process.report.reportOnFatalError = false;
    process.report.reportOnSignal = false;
    process.report.reportOnUncaughtException = false;
  }
}
