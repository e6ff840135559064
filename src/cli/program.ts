// The command line: every command and its options. One file per command does the work.
import { Command } from 'commander';
import { VERSION } from '../connector.ts';
import { clientAdd } from './client-add.ts';
import { configCheck } from './config-check.ts';
import { policyBuild } from './policy-build.ts';
import { policyCheck } from './policy-check.ts';
import { policyTest } from './policy-test.ts';
import { serve } from './serve.ts';

const EXIT_CODES = `
Exit codes:
  0  done, or everything is as it should be
  1  something must be fixed; what and where is on standard error
  2  the command line was not understood`;

export function createProgram(): Command {
  const program = new Command('sallyport')
    .description('MCP connector for applications that only know sessions. Every tool call is decided by a Rego policy.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', EXIT_CODES);

  program
    .command('serve')
    .description('run the connector; without --config, a demo with an embedded legacy application')
    .option('-c, --config <file>', 'connector.yaml to run')
    .option('-p, --port <port>', 'port to listen on instead of the configured one (also: PORT)')
    .option('--json', 'print where it listens as one line of JSON')
    .action(serve);

  const config = program.command('config').description('look at a configuration');
  config
    .command('check')
    .description('list every problem of a connector.yaml, with path and line')
    .argument('[file]', 'configuration to check', 'connector.yaml')
    .option('--json', 'print the problems as JSON')
    .action(configCheck);

  const policy = program.command('policy').description('check, build and test policies (needs OPA, or Go to build it)');
  for (const [name, description, action] of [
    ['check', 'settings, format, types, builtins, METADATA, and whether the compiled policy is current', policyCheck],
    ['build', 'compile the Rego sources to policies/compiled/', policyBuild],
  ] as const) {
    policy
      .command(name)
      .description(description)
      .option('-d, --dir <folder>', 'policy folder', 'policies')
      .option('--json', 'print the result as JSON')
      .action(action);
  }
  policy
    .command('test')
    .description('run the Rego tests at 100 % coverage, and the cases through the Go evaluator and the WASM')
    .option('-d, --dir <folder>', 'policy folder', 'policies')
    .option('-t, --tests <folder>', 'folder with sallyport/*_test.rego and cases/*.yaml', 'policy-tests')
    .option('--json', 'print the result as JSON')
    .action(policyTest);

  const client = program.command('client').description('manage clients that use API keys');
  client
    .command('add')
    .description('add a client and print its key, once')
    .argument('<id>', 'client id, as policies and logs will name it')
    .requiredOption('-f, --file <file>', 'client file (identity.keys.file); created when missing')
    .option('-r, --role <role...>', 'roles', [])
    .option('-s, --scope <scope...>', 'scopes', [])
    .option('--subject <subject>', 'user the client acts for (default: the id)')
    .option('--expires-days <days>', 'days after which the key stops working')
    .option('--replace', 'give an existing client a new key')
    .option('--json', 'print id and key as JSON')
    .action(clientAdd);

  // Subcommands inherit nothing in commander: each must throw rather than exit, and name the exit codes.
  for (const command of [program, ...program.commands.flatMap((c) => [c, ...c.commands])]) command.exitOverride();
  return program;
}
