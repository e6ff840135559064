// turns off what would let somebody read secrets out of this process, and refuses to start when the command
// line or the environment turns it on. What Node was started with is known: it is a short list of harmless options,
// or the start is refused. A list of the harmful ones would miss those that a new version of Node brings.
import inspector from 'node:inspector';
import { OperatorError } from './errors.ts';

/**
 * Options of Node that neither load code, nor write memory or keys anywhere, nor listen. Those about TLS weaken
 * nothing that is verified; `--require`, `--import` and the like are not here, because they run any code.
 */
const HARMLESS = new Set([
  '--allow-fs-read',
  '--allow-fs-write',
  '--disable-proto',
  '--disable-warning',
  '--disallow-code-generation-from-strings',
  '--dns-result-order',
  '--enable-fips',
  '--enable-source-maps',
  '--env-file',
  '--env-file-if-exists',
  '--experimental-permission',
  '--force-fips',
  '--max-http-header-size',
  '--max-old-space-size',
  '--max-old-space-size-percentage',
  '--max-semi-space-size',
  '--network-family-autoselection',
  '--network-family-autoselection-attempt-timeout',
  '--no-addons',
  '--no-deprecation',
  '--no-network-family-autoselection',
  '--no-warnings',
  '--pending-deprecation',
  '--permission',
  '--secure-heap',
  '--secure-heap-min',
  '--stack-size',
  '--stack-trace-limit',
  '--throw-deprecation',
  '--title',
  '--tls-max-v1.3',
  '--tls-min-v1.2',
  '--tls-min-v1.3',
  '--trace-deprecation',
  '--trace-uncaught',
  '--trace-warnings',
  '--unhandled-rejections',
  '--use-bundled-ca',
  '--use-openssl-ca',
  '--use-system-ca',
  '--zero-fill-buffers',
]);

/** Variables that make Node, or a library below it, write what it sends, what it holds, or keys. */
const VARIABLES = ['SSLKEYLOGFILE', 'NODE_DEBUG', 'NODE_DEBUG_NATIVE', 'NODE_V8_COVERAGE', 'NODE_REDIRECT_WARNINGS'];

/** Signals that Node or its options give a meaning: an inspector, a heap snapshot or a report; else they kill. */
const DIAGNOSTIC_SIGNALS = ['SIGUSR1', 'SIGUSR2'] as const;

/**
 * Options that load code before the program. On the command line they are accepted, as for an agent that watches the
 * process: whoever writes that line chooses the program as well. In the environment they are not.
 */
const LOADING = new Set(['--experimental-loader', '--import', '--loader', '--require', '-r']);
const ON_COMMAND_LINE = new Set([...HARMLESS, ...LOADING]);

type Reports = Pick<NodeJS.ProcessReport, 'reportOnFatalError' | 'reportOnSignal' | 'reportOnUncaughtException'>;

/**
 * Answers what in this process or its environment opens a way to its memory; an empty list when nothing does. Names of
 * options are told, never their values.
 */
export function debuggingAids(
  env: NodeJS.ProcessEnv = process.env,
  execArgv: readonly string[] = process.execArgv,
  report: Reports | undefined = process.report,
): string[] {
  const found: string[] = [];
  const options = nodeOptions(env.NODE_OPTIONS ?? '');
  if (!options) found.push('NODE_OPTIONS with a quote that does not end');
  for (const name of harmful(options ?? [], HARMLESS)) found.push(`NODE_OPTIONS with ${name}`);
  for (const name of harmful(execArgv, ON_COMMAND_LINE)) found.push(`the Node option ${name}`);
  for (const name of VARIABLES) if (env[name]) found.push(`the environment variable ${name}`);
  // Whatever else may have turned them on: these are read from the process as it is.
  if (report?.reportOnFatalError || report?.reportOnSignal || report?.reportOnUncaughtException)
    found.push('diagnostic reports');
  if (inspector.url() !== undefined) found.push('an open inspector');
  // --heapsnapshot-signal and code that was loaded before us listen here; we do so only after this check.
  for (const signal of DIAGNOSTIC_SIGNALS)
    if (process.listenerCount(signal) > 0) found.push(`something that listens to ${signal}`);
  return found;
}

/** Throws an OperatorError that names every debugging aid that is turned on. */
export function refuseDebugging(env?: NodeJS.ProcessEnv): void {
  const found = debuggingAids(env);
  if (found.length === 0) return;
  throw new OperatorError(
    `secrets could be read out of this process: ${found.join(', ')}. Remove it, or start with --allow-debugging`,
  );
}

/** The names of those options that are not harmless. */
function harmful(options: readonly string[], harmless: ReadonlySet<string>): string[] {
  const found: string[] = [];
  for (const [i, option] of options.entries()) {
    // What follows an option may be its value. Where it is that of a harmful one, the option is told and not the value.
    if (i > 0 && !option.startsWith('-')) continue;
    // Node takes "_" for "-" in a name.
    const name = (option.split('=')[0] ?? '').replaceAll('_', '-');
    if (!harmless.has(name)) found.push(name.startsWith('-') ? name.slice(0, 60) : 'something that is no option');
  }
  return found;
}

/**
 * Splits NODE_OPTIONS into arguments as Node does (ParseNodeOptionsEnvVar in src/node_options.cc): a space ends an
 * argument, double quotes group, and a backslash within quotes takes the next character as it is. Undefined when a
 * quote or an escape does not end; Node would not start then.
 */
function nodeOptions(text: string): string[] | undefined {
  const options: string[] = [];
  let quoted = false;
  let begun = false;
  for (let i = 0; i < text.length; i++) {
    let character = text[i] as string;
    if (character === '\\' && quoted) {
      if (i + 1 === text.length) return undefined;
      character = text[++i] as string;
    } else if (character === ' ' && !quoted) {
      begun = false;
      continue;
    } else if (character === '"') {
      quoted = !quoted;
      continue;
    }
    if (begun) options[options.length - 1] += character;
    else options.push(character);
    begun = true;
  }
  return quoted ? undefined : options;
}

/**
 * Closes what Node opens at run time. SIGUSR1 would open an inspector unless there is a listener for it, SIGUSR2 would
 * end the process without a shutdown, and a diagnostic report would contain memory and environment.
 */
export function closeDebuggingDoors(onSignal: (signal: string) => void): void {
  if (process.platform !== 'win32') for (const signal of DIAGNOSTIC_SIGNALS) process.on(signal, () => onSignal(signal));
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
    'NODE_TLS_REJECT_UNAUTHORIZED=0 turns TLS verification off; unset it, and use ca_file (or --ca) for a private CA',
  );
}
