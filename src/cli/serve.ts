// `sallyport serve`: runs the connector until it is told to stop, then stops it gracefully.
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { relative, resolve } from 'node:path';
import { createOpsLog } from '../audit/ops.ts';
import { type Config, loadConfig } from '../config/load.ts';
import { type Connector, startConnector } from '../connector.ts';
import { OperatorError } from '../core/errors.ts';
import { closeDebuggingDoors, refuseDebugging } from '../core/hardening.ts';
import { VERSION } from '../core/paths.ts';
import { type Demo, prepareDemo } from '../demo/start.ts';
import { endOfLife } from '../life/node-release.ts';
import { notify } from '../life/notify.ts';
import { paint, print, printJson } from './output.ts';
import { portOf } from './port.ts';

/** Options of the command. Without `config` the demo runs. */
export interface ServeOptions {
  config?: string;
  port?: string;
  allowDebugging?: boolean;
  json?: boolean;
}

const STATE_DIR = '.sallyport';

/**
 * Starts the connector and resolves when it has stopped after SIGINT or SIGTERM. Rejects with an OperatorError
 * when something must be fixed first.
 */
export async function serve(options: ServeOptions): Promise<void> {
  // Looked at first: closing the doors turns off what shows that they were open.
  if (!options.allowDebugging) refuseDebugging();
  // Until the configuration says how the operational log is written, it is written as usual.
  let ops = createOpsLog();
  closeDebuggingDoors((signal) =>
    ops.warn('a signal is ignored: nothing of this process is opened or written', { signal }),
  );
  const port = portOf(options.port ?? process.env.PORT);
  // Whoever has a configuration in this folder does not want the demo, which would write its files beside it.
  if (options.config === undefined && existsSync('connector.yaml'))
    throw new OperatorError(
      'there is a connector.yaml here: give --config connector.yaml (the demo runs in a folder without one)',
    );
  const demo = options.config === undefined ? await prepareDemo({ stateDir: resolve(STATE_DIR) }) : undefined;
  // From here on no signal ends the process as it would a program that knows none.
  const signals = listenForSignals();
  let connector: Connector;
  try {
    const reread = () => withPort(demo?.config ?? loadConfig(options.config as string), port);
    const config = reread();
    ops = createOpsLog(config.log);
    connector = await startConnector({
      config,
      ops,
      env: demo?.env ?? process.env,
      progress: (line) => ops.info(line),
      ...(!demo && { reread }),
    });
    announce(connector, config, demo, options.json === true);
    const { url, adminUrl } = connector;
    if (!process.stderr.isTTY) ops.info('listening', { url, ...(adminUrl !== undefined && { admin: adminUrl }) });
  } catch (thrown) {
    await demo?.legacy.close();
    throw thrown;
  }

  const ended = endOfLife(process.version, Date.now());
  if (ended !== undefined)
    ops.warn('this release of Node gets no fixes any more; use one that is supported, such as 22', {
      ...{ node: process.version, since: ended },
    });
  const problem = (text: string) => ops.warn(text);
  await notify('ready', process.env, problem);
  signals.onHangup(() => void connector.reload({ operator: 'signal', reason: 'SIGHUP', ip: '' }));
  const { signal, delay } = await signals.stop;
  ops.info('stopping: calls in flight may finish');
  void notify('stopping', process.env, problem);
  for (const again of ['SIGINT', 'SIGTERM']) process.on(again, connector.hurry);
  await connector.close({ delay, signal });
  ops.info('stopped');
  await demo?.legacy.close();
  // Whatever still holds the process open, such as a request that hangs, does not hold it any longer than this.
  setTimeout(() => process.exit(), 1000).unref();
}

/** Signals that would end the process without a record of it. */
const STOPPING = [
  ...(['SIGINT', 'SIGQUIT', 'SIGABRT', 'SIGALRM', 'SIGXCPU', 'SIGVTALRM', 'SIGIO', 'SIGPWR', 'SIGSTKFLT'] as const),
];

/** What the process was told, also before it was ready: whether to stop with a delay, and to read everything again. */
function listenForSignals() {
  let hangup: (() => void) | undefined;
  let early = false;
  const stop = new Promise<{ signal: string; delay: boolean }>((resolve) => {
    process.on('SIGTERM', () => resolve({ signal: 'SIGTERM', delay: true }));
    for (const signal of STOPPING)
      if (signal in constants.signals) process.on(signal, () => resolve({ signal, delay: false }));
    process.on('SIGHUP', () => {
      // A terminal that is closed sends it, too, and then nobody is there any more.
      if (process.stdout.isTTY || process.stdin.isTTY) resolve({ signal: 'SIGHUP', delay: false });
      else if (hangup) hangup();
      else early = true;
    });
    stopWithParent(() => resolve({ signal: 'its parent has ended', delay: false }));
  });
  return {
    stop,
    onHangup(then: () => void) {
      hangup = then;
      if (early) then();
    },
  };
}

/**
 * `npm start` runs this process below a shell. A SIGTERM to npm ends npm and the shell but does not reach this
 * process, which would go on answering under an old policy. So it stops when its parent is gone.
 */
function stopWithParent(stop: () => void): void {
  if (process.env.npm_lifecycle_event !== 'start') return;
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop(), 250).unref();
}

const withPort = (config: Config, port: number | undefined): Config =>
  port === undefined ? config : { ...config, listen: { ...config.listen, port } };

function announce(connector: Connector, config: Config, demo: Demo | undefined, json: boolean): void {
  // Standard output belongs to the records then.
  if (config.audit.to !== 'file') return;
  const show = (path: string) => relative('', path) || '.';
  if (json) {
    printJson({
      url: connector.url,
      ...(connector.adminUrl !== undefined && { admin_url: connector.adminUrl }),
      policy_revision: connector.policy.revision,
      wasm_sha256: connector.policy.wasmSha256,
      policy: connector.policy.verdict,
      decision_log: config.audit.file,
      ...(demo && { key_file: demo.keyFile, legacy_url: demo.legacy.url }),
    });
    return;
  }
  const row = (label: string, text: string) => print(`  ${paint('dim', label.padEnd(14))}${text}`);
  print(`${paint('bold', `Sallyport ${VERSION}`)} is ready`);
  print();
  row('MCP endpoint', paint('cyan', connector.url));
  if (connector.adminUrl !== undefined) row('admin', connector.adminUrl);
  if (demo) row('legacy system', `${demo.legacy.url} (embedded demo)`);
  const { verdict } = connector.policy;
  const vouched = verdict === 'compared' ? '' : `  ${verdict}`;
  row('policy', `${show(config.policy.dir)}  revision ${connector.policy.revision}${vouched}`);
  row('decision log', show(config.audit.file));
  if (!demo) return;
  row('client', `demo-agent, key in ${show(demo.keyFile)}`);
  print();
  print('Call a tool from another terminal:');
  print();
  const call = `npx -y @modelcontextprotocol/inspector@0.21.2 --cli ${connector.url} --transport http --header "Authorization: Bearer $(cat ${show(demo.keyFile)})"`;
  print(`  ${call} --method tools/list`);
  print(`  ${call} --method tools/call --tool-name stock_get --tool-arg sku=A-1`);
}
