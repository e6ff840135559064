// The commands about policies, with their options.
import type { Command } from 'commander';
import { asking } from '../asking.ts';
import { later } from '../later.ts';
import { addReview } from './review/commands.ts';

export function addPolicy(program: Command): void {
  const policy = program
    .command('policy')
    .description('check, build, test and compare policies (needs OPA, or Go to build it)');
  const command = (name: string, description: string) =>
    policy
      .command(name)
      .description(description)
      .option('-d, --dir <folder>', 'policy folder: data.yaml, and site/ or sallyport/', 'policies')
      .option('-s, --site <folder>', "the site's rules, where they are not in <dir>/site")
      .option(
        '-t, --tests <folder>',
        'folder with cases/, sallyport/ and site/ (default: policy-tests beside the policy)',
      )
      .option('--json', 'print the result as JSON');
  command(
    'check',
    'the gate: settings, types, METADATA, vocabulary, reachability, and whether the compiled policy is current',
  )
    .option('-c, --config <file>', 'check names, arguments and masks against this connector.yaml, too')
    .option('--strict', 'fail on controls that are off and are on in the shipped policy')
    .option('--sarif', 'print the findings as SARIF 2.1.0')
    .action(later(() => import('./check.ts'), 'policyCheck'));
  command('build', 'check, then compile the Rego sources').action(later(() => import('./build.ts'), 'policyBuild'));
  command('test', 'run Rego tests at 100 % coverage, and cases and sequences through the Go evaluator and the WASM')
    .option('-r, --run <pattern>', 'only tests, cases and sequences with this in their name (regular expression)')
    .option('-v, --verbose', 'print each of them, and what is covered of each file')
    .option('--junit <file>', 'also write the results as JUnit XML')
    .option('-w, --watch', 'run them again after each change')
    .action(later(() => import('./test.ts'), 'policyTest'));
  policy
    .command('update')
    .description('show how the shipped part of a policy folder differs from this version, and take it over')
    .option('-d, --dir <folder>', 'policy folder', 'policies')
    .option('-t, --tests <folder>', 'cases to decide before and after (default: policy-tests beside the policy)')
    .option('--dry-run', 'show the differences and write nothing')
    .option('--json', 'print the result as JSON')
    .action(later(() => import('./update.ts'), 'policyUpdate'));
  policy
    .command('sign')
    .description("sign a built policy in OPA's form, for connectors that have the public key in policy.keys")
    .argument('[dir]', 'policy folder', 'policies')
    .requiredOption(
      '-k, --key <file>',
      'private key (PEM: RSA, EC or Ed25519); it belongs to where policies are released',
    )
    .option('-o, --output <file>', 'also pack it into a bundle (.tar.gz)')
    .option('--json', 'print the result as JSON')
    .action(later(() => import('./sign.ts'), 'policySign'));
  addReview(policy);
  addActivation(policy);
}

function addActivation(policy: Command): void {
  const running = asking(policy);
  running('activate', 'have a running connector take a policy into use (right: act)')
    .argument(
      '[dir]',
      'policy folder, or bundle (.tar.gz), on the machine of the connector (default: the configured one)',
    )
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--json', 'print the result as JSON')
    .action(later(() => import('../admin/policy.ts'), 'policyActivate'));
  running('rollback', 'have it take a policy into use again that was in force before (right: act)')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--to <revision>', 'which one (default: the one before)')
    .option('--json', 'print the result as JSON')
    .action(later(() => import('../admin/policy.ts'), 'policyRollback'));
  running('status', 'which policy decides, what was in force before, and what is kept (right: read)')
    .option('--all', 'what each replica has, as well')
    .option('--json', 'print it as JSON')
    .action(later(() => import('../admin/policy.ts'), 'policyStatus'));
}
