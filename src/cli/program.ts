// The command line: all commands with their options. The work of each command is in a file of its own.
import { Command } from 'commander';
import { VERSION } from '../core/paths.ts';
import { addAlerts } from './alerts/commands.ts';
import { asking } from './asking.ts';
import { addAudit } from './audit/commands.ts';
import { later } from './later.ts';
import { addPolicy } from './policy/commands.ts';

const EXIT_CODES = `
Exit codes:
  0  done, or everything is as it should be
  1  something must be fixed; what and where is on standard error
  2  the command line was not understood`;

/** Creates the command line. It throws a CommanderError instead of ending the process. */
export function createProgram(): Command {
  const program = new Command('sallyport')
    .description('MCP connector for applications that only know sessions. Every tool call is decided by a Rego policy.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', EXIT_CODES);

  const parts = [
    addInit,
    addServe,
    addOperations,
    addAlerts,
    addKeys,
    addAudit,
    addConfig,
    addImport,
    addBackend,
    addPolicy,
  ];
  for (const add of [...parts, addClient]) add(program);
  // Every command must throw instead of ending the process, so that main.ts sets the exit code.
  for (const command of everyCommand(program)) command.exitOverride();
  return program;
}

const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];

function addInit(program: Command): void {
  program
    .command('init')
    .description('lay out a project: connector.yaml, a first backend, policies with a test, a client, .gitignore')
    .argument('[dir]', 'folder to lay it out in', '.')
    .option('-b, --backend <name>', 'name of the first application (asked for on a terminal)')
    .option('-u, --url <url>', 'its address')
    .option('--client <id>', 'first client')
    .option('--json', 'ask nothing, and print what was made as JSON')
    .action(later(() => import('./init.ts'), 'init'));
}

function addServe(program: Command): void {
  program
    .command('serve')
    .description('run the connector; without --config, a demo with an embedded legacy application')
    .option('-c, --config <file>', 'connector.yaml to run')
    .option('-p, --port <port>', 'port to listen on instead of the configured one (also: PORT)')
    .option('--allow-debugging', 'start although an inspector, TLS key log or debug output is turned on')
    .option('--json', 'print where it listens as one line of JSON')
    .action(later(() => import('./serve.ts'), 'serve'));
}

function addOperations(program: Command): void {
  const command = asking(program);
  command('status', 'what a running connector is and does, and in what its replicas differ (right: read)')
    .option('--json', 'print it as JSON')
    .action(later(() => import('./admin/status.ts'), 'status'));
  command('sessions', 'which backend sessions there are, whose, and when they rotate or end (right: read)')
    .option('--backend <name>', 'only of this backend')
    .option('--client <id>', 'only of this client id')
    .option('--subject <subject>', 'only of this user')
    .option('--limit <number>', 'how many at most, up to 1000', '100')
    .option('--after <session>', 'the page after this one')
    .option('--json', 'print them as JSON')
    .action(later(() => import('./admin/sessions.ts'), 'sessions'));
  command('reload', 'read certificates, clients, accounts, key sets and connector.yaml again (right: act)')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--json', 'print what became of each part as JSON')
    .action(later(() => import('./admin/reload.ts'), 'reload'));
  command('revoke', 'end sessions on every replica, through the admin listener of one of them (right: act)')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--session <fingerprint>', 'one session, by the fingerprint the decision log shows')
    .option('--client <id>', 'all sessions of a client id')
    .option('--subject <subject>', 'all sessions of a user')
    .option('--issuer <issuer>', 'only the client or user of this issuer; another issuer may give the same id')
    .option('--backend <name>', 'all sessions with a backend')
    .option('--all', 'all sessions')
    .option('--deny-until <time>', 'freeze the same until then (RFC 3339, or 30m, 8h, 2d)')
    .option('--json', 'print the result as JSON')
    .action(later(() => import('./admin/revoke.ts'), 'revoke'));
  const selecting = (name: string, description: string) =>
    command(name, description)
      .requiredOption('--reason <text>', 'why, for the record and for clients')
      .option('--all', 'everything')
      .option('--backend <name>', 'all tools of a backend')
      .option('--tool <name>', 'one tool')
      .option('--role <role>', 'all clients with a role')
      .option('--client <id>', 'a client id')
      .option('--subject <subject>', 'a user')
      .option('--issuer <issuer>', 'only the client or user of this issuer');
  selecting('freeze', 'deny calls on every replica from now on, by the policy (right: act)')
    .option('--until <time>', 'end by itself (RFC 3339, or 30m, 8h, 2d); else until it is thawed')
    .option('--json', 'print the result as JSON')
    .action(later(() => import('./admin/freeze.ts'), 'freeze'));
  selecting('thaw', 'end a freeze of the same name (right: act)')
    .option('--json', 'print the result as JSON')
    .action(later(() => import('./admin/freeze.ts'), 'thaw'));
  command('freezes', 'what is frozen, by whom, why and until when (right: read)')
    .option('--json', 'print it as JSON')
    .action(later(() => import('./admin/freeze.ts'), 'freezes'));
}

function addKeys(program: Command): void {
  const keys = program.command('keys').description('rotate the keys that seal sessions and handles');
  const ring = (name: string, description: string) =>
    keys
      .command(name)
      .description(description)
      .option('-f, --file <file>', 'keyring (keyring_file, or keyring.json in state_dir)')
      .option('-e, --env <name>', 'environment variable with the keyring; it can be looked at, and not rotated')
      .option('--json', 'print the result as JSON');
  ring('init', 'make a keyring, for all replicas').action(later(() => import('./keys.ts'), 'keysInit'));
  ring('add', 'add a key: it opens at once and seals after a delay')
    .option('--delay-seconds <seconds>', 'until every replica knows the key (longer for a mounted secret)', '30')
    .option('--create', 'make the file when there is none')
    .action(later(() => import('./keys.ts'), 'keysAdd'));
  ring('retire', 'remove a key that no longer seals; what it sealed ends')
    .argument('<id>')
    .action(later(() => import('./keys.ts'), 'keysRetire'));
  ring('status', 'list the keys, never their values').action(later(() => import('./keys.ts'), 'keysStatus'));
}

function addConfig(program: Command): void {
  const config = program.command('config').description('look at a configuration');
  config
    .command('check')
    .description('list every problem of a connector.yaml, with path and line')
    .argument('[file]', 'configuration to check', 'connector.yaml')
    .option('--offline', 'need no secret and no environment variable, as in the review of a change')
    .option(
      '--strict',
      'fail on tools and roles that nobody has, on conditions that content can fulfil, on what ends within 30 days, on a policy that is not built',
    )
    .option('--json', 'print the problems as JSON')
    .action(later(() => import('./config/check.ts'), 'configCheck'));
  config
    .command('show')
    .description('print a connector.yaml as it takes effect, with defaults and its revision; it shows no secret')
    .argument('[file]', 'configuration to show', 'connector.yaml')
    .option('--json', 'print it as JSON')
    .action(later(() => import('./config/show.ts'), 'configShow'));
}

function addImport(program: Command): void {
  program
    .command('import')
    .description('make tools from a description of a system')
    .command('openapi')
    .description('tools from an OpenAPI 3 document, as YAML to be reviewed and put into connector.yaml')
    .argument('<source>', 'file or URL of the document')
    .option('-b, --backend <name>', 'backend of the tools', 'backend')
    .option('-p, --prefix <text>', 'begin each name with this', '')
    .option('--tag <tag...>', 'only operations with one of these tags', [])
    .option('--read-only', 'only tools that read')
    .option('-o, --out <file>', 'write here (default: standard output)')
    .option('--force', 'replace the file')
    .option('--json', 'print tools and what became of each operation as JSON')
    .action(later(() => import('./import-openapi.ts'), 'importOpenapi'));
}

function addBackend(program: Command): void {
  program
    .command('backend')
    .description('look at a backend')
    .command('check')
    .description(
      'log in, call, end, log in again and log out on the real system, and say what was seen (no secret is shown)',
    )
    .argument('<name>', 'backend, as connector.yaml names it')
    .option('-c, --config <file>', 'configuration', 'connector.yaml')
    .option('-a, --account <key>', 'whose account to use, when the backend has "accounts"')
    .option('-t, --tool <name>', 'tool to call (default: one that reads without arguments, else the probe)')
    .option('--args <json>', 'arguments of the tool, as a JSON object')
    .option('--strict', 'exit with 1 for warnings as well: for what is the nature of the system')
    .option('--json', 'print the results as JSON')
    .action(later(() => import('./backend/check.ts'), 'backendCheck'));
}

function addClient(program: Command): void {
  const client = program.command('client').description('manage clients that use API keys');
  client
    .command('add')
    .description('add a client and print its key, once')
    .argument('<id>', 'client id, as policies and logs will name it')
    .requiredOption('-f, --file <file>', 'client file (identity.keys.file); created when missing')
    .option('-r, --role <role...>', 'roles', [])
    .option('-s, --scope <scope...>', 'scopes', [])
    .option('--subject <subject>', 'user the client acts for (default: the id)')
    .option('-a, --attribute <name=value...>', 'what policies may read of the client (input.client.claims)')
    .option('--expires-days <days>', 'days after which the key stops working')
    .option('--replace', 'give an existing client a new key')
    .option('--json', 'print id and key as JSON')
    .action(later(() => import('./client/add.ts'), 'clientAdd'));
  client
    .command('list')
    .description('list the clients, never their keys')
    .requiredOption('-f, --file <file>', 'client file (identity.keys.file)')
    .option('--json', 'print them as JSON')
    .action(later(() => import('./client/list.ts'), 'clientList'));
  client
    .command('remove')
    .description('remove a client: its key works no more within a second; its sessions are ended by "sallyport revoke"')
    .argument('<id>', 'client id')
    .requiredOption('-f, --file <file>', 'client file (identity.keys.file)')
    .option('--json', 'print the result as JSON')
    .action(later(() => import('./client/remove.ts'), 'clientRemove'));
}
