// turns off what would let somebody read secrets out of this process, and refuses to start when the command
// line or the environment turns it on.
import inspector from 'node:inspector';
import { OperatorError } from './errors.ts';

const FLAGS =
  /--(inspect|debug|tls-keylog|heapsnapshot-(signal|near-heap-limit)|heap-prof|cpu-prof|perf-|prof\b|report-|trace-tls|abort-on-uncaught|expose-internals)/;

/** Node accepts "_" in place of "-" in an option, so both are compared as "-". */
const spelt = (options: string): string => options.replaceAll('_', '-');

/** Answers what in this process or its environment opens a way to its memory; an empty list when nothing does. */
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

/** Throws an OperatorError that names every debugging aid that is turned on. */
export function refuseDebugging(env: NodeJS.ProcessEnv = process.env): void {
  const found = debuggingAids(env);
  if (found.length === 0) return;
  throw new OperatorError(
    `secrets could be read out of this process: ${found.join(', ')}. Remove it, or start with --allow-debugging`,
  );
}

/**
 * Closes what Node opens at run time. SIGUSR1 would open an inspector unless there is a listener for it, and a
 * diagnostic report would contain memory and environment.
 */
export function closeDebuggingDoors(onSignal: () => void): void {
  if (process.platform !== 'win32') process.on('SIGUSR1', onSignal);
  if (process.report) {
    process.report.reportOnFatalError = false;
    process.report.reportOnSignal = false;
    process.report.reportOnUncaughtException = false;
  }
}

/**
 * Throws an OperatorError when NODE_TLS_REJECT_UNAUTHORIZED=0 would turn off the verification of TLS for every
 * connection at once.
 */
export function refuseUnverifiedTls(env: NodeJS.ProcessEnv): void {
  if (env.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return;
  throw new OperatorError(
    'NODE_TLS_REJECT_UNAUTHORIZED=0 turns TLS verification off; unset it, and use ca_file for a private CA',
  );
}
