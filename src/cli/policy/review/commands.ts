// The commands by which a change of a policy is looked at before it ships.
import { type Command, Option } from 'commander';
import { DIFF_KINDS } from '../../../policy/diff/kinds.ts';
import { KINDS } from '../../../policy/replay/kinds.ts';
import { later } from '../../later.ts';
import { failOn } from './fail-on.ts';

/** What a version of a policy can be named by. */
const VERSIONS = `
A policy is named by a folder, a bundle in one file (.tar.gz) or a revision of Git, in which the folder of --dir is taken.`;

/** The options that several of them have. */
function builders(policy: Command) {
  const command = (name: string, description: string) =>
    policy
      .command(name)
      .description(description)
      .option('-d, --dir <folder>', 'policy folder: data.yaml, and site/ or sallyport/', 'policies')
      .option('-s, --site <folder>', "the site's rules, where they are not in <dir>/site");
  const reading = (of: Command) =>
    of
      .option('-k, --keys <file...>', 'public keys that the log is verified with ("sallyport audit keys export")')
      .option('-a, --anchor <file...>', 'checkpoints of the log that were kept elsewhere')
      .option('--threads <number>', 'how many threads read (default: one for each core)');
  const showing = (of: Command) =>
    of
      .option('--markdown <file>', 'write it as Markdown, for a pull request ("-": standard output)')
      .option('--html <file>', 'write it as one page of HTML that needs nothing else ("-": standard output)')
      .option('--json', 'print it as JSON');
  const tested = (of: Command) =>
    of.option('-t, --tests <folder>', 'folder of tests (default: policy-tests beside the policy)');
  return { command, reading, showing, tested };
}

export function addReview(policy: Command): void {
  const { command, reading, showing, tested } = builders(policy);
  showing(
    reading(
      command('replay', 'decide what is on record again, and show what would be decided otherwise').requiredOption(
        '-l, --log <file...>',
        'files of decision logs, in any order, plain or packed by gzip',
      ),
    ).option('-p, --policy <version>', 'the policy that decides (default: the folder of --dir as it is)'),
  )
    .option(
      '--fail-on <changes>',
      'exit with 1 where one of these happened, with commas between',
      failOn([...REPLAYED, ...KINDS]),
    )
    .addHelpText('after', `${VERSIONS}\n\nChanges: ${[...REPLAYED, ...KINDS].join(', ')}`)
    .action(later(() => import('./replay.ts'), 'policyReplay'));

  showing(
    reading(
      tested(command('diff', 'what a change does: settings in words, rules, tests, who may call what, and past calls'))
        .argument('<before>', 'the version before')
        .argument('[after]', 'the version after (default: the folder of --dir as it is)')
        .option('-l, --log <file...>', 'files of decision logs, to see which past calls would be decided otherwise'),
    ).option('-c, --config <file>', 'connector.yaml, for the tools that there are'),
  )
    .option('--fail-on <changes>', 'exit with 1 where one of these happened, with commas between', failOn(DIFF_KINDS))
    .addHelpText('after', `${VERSIONS}\n\nChanges: ${DIFF_KINDS.join(', ')}`)
    .action(later(() => import('./diff.ts'), 'policyDiff'));

  showing(
    reading(
      command('explain', 'why one call was decided as it was: rules, settings, what stood in the way')
        .option('--decision <id>', 'a decision on record (with --log)')
        .option('-l, --log <file...>', 'files of decision logs')
        .option('-i, --input <file>', 'a decision input, or a record with one, as JSON ("-": standard input)')
        .option('--set <path=value...>', 'give a value that the record no longer holds, or ask "what if"'),
    ).option('-p, --policy <version>', 'the policy that decides (default: the folder of --dir as it is)'),
  )
    .addHelpText('after', VERSIONS)
    .action(later(() => import('./explain.ts'), 'policyExplain'));
  addFiling(policy);
}

/** What is written from a policy or a log: cases, who may call what, the catalogue. */
function addFiling(policy: Command): void {
  const { command, reading, tested } = builders(policy);
  reading(
    tested(command('case', 'write a case from a decision on record, so that it is tested from then on'))
      .requiredOption('--decision <id>', 'the decision')
      .requiredOption('-l, --log <file...>', 'files of decision logs'),
  )
    .option('--name <text>', 'name of the case')
    .option('--set <path=value...>', 'give a value that the record no longer holds (asked for on a terminal)')
    .option('-o, --output <file>', 'write it here (default: standard output)')
    .action(later(() => import('./case.ts'), 'policyCase'));
  tested(command('matrix', 'write who may call what beside the policy, as text that Git compares well'))
    .option('-c, --config <file>', 'connector.yaml, for the tools that there are (default: those the file has)')
    .option('--print', 'print it, and write nothing')
    .option('--json', 'print each role and tool as JSON, and write nothing')
    .action(later(() => import('./matrix.ts'), 'policyMatrix'));
  tested(command('catalogue', 'every reason code: meaning, controls, settings, rules, and the tests that make it fire'))
    .addOption(
      new Option('-f, --format <format>', 'how').choices(['markdown', 'json', 'csv', 'oscal']).default('markdown'),
    )
    .option('-o, --output <file>', 'write it here (default: standard output)')
    .option('--json', 'the same as --format json')
    .action(later(() => import('./catalogue.ts'), 'policyCatalogue'));
}

/** Besides the kinds of changes: any of them, a record that no longer holds enough, an input without a usable decision. */
const REPLAYED = ['any', 'undecidable', 'failed'];
