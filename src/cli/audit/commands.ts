// The commands about the decision log, with their options.
import type { Command } from 'commander';
import { later } from '../later.ts';

export function addAudit(program: Command): void {
  const audit = program.command('audit').description('verify the decision log, and manage the keys that sign it');
  audit
    .command('verify')
    .description('whether logs are whole; if not, the first bad record and what was done to it')
    .argument('<files...>', 'files of one or more logs, in any order, plain or packed by gzip')
    .requiredOption('-k, --keys <file...>', 'public keys, from "sallyport audit keys export"')
    .option('-a, --anchor <file...>', 'checkpoints kept elsewhere, or audit-head.json of the state folder')
    .option('-l, --log <name>', 'decisions or events: only this log is given, and anchors of the other are left aside')
    .option('--threads <number>', 'how many threads read (default: one for each core)')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      `
Exit codes:
  0  whole, up to what the anchor says and beyond
  1  tampered with or damaged: the first line says where and how
  2  not verified: a file, a key or an anchor cannot be used
  3  whole as far as it can be judged: without an anchor nobody can say whether more followed`,
    )
    .action(later(() => import('./verify.ts'), 'auditVerify'));
  addAuditKeys(audit);
  addPseudonyms(audit);
}

function addPseudonyms(audit: Command): void {
  const pseudonyms = audit.command('pseudonyms').description('the keys of the pseudonyms in the log');
  const command = (name: string, description: string) =>
    pseudonyms
      .command(name)
      .description(description)
      .requiredOption('-f, --file <file>', 'keys (audit.pseudonyms.file, or pseudonyms.json in state_dir)')
      .option('--json', 'print the result as JSON');
  command('status', 'list the periods').action(later(() => import('./pseudonyms.ts'), 'pseudonymsStatus'));
  command('find', 'read a value from standard input, and print its pseudonym in each period').action(
    later(() => import('./pseudonyms.ts'), 'pseudonymsFind'),
  );
  command('destroy', 'destroy the keys of periods that have ended')
    .requiredOption('--before <day>', 'periods that had ended by this day')
    .action(later(() => import('./pseudonyms.ts'), 'pseudonymsDestroy'));
}

function addAuditKeys(audit: Command): void {
  const keys = audit.command('keys').description('the keys that sign checkpoints (Ed25519)');
  const command = (name: string, description: string) =>
    keys
      .command(name)
      .description(description)
      .requiredOption('-f, --file <file>', 'keys (audit.keys_file, or audit-keys.json in state_dir)');
  const asJson = 'print the result as JSON';
  command('init', 'make a file with a key; the connector does it by itself')
    .option('--json', asJson)
    .action(later(() => import('./keys.ts'), 'auditKeysInit'));
  command('add', 'add a key that signs after a delay')
    .option('--delay-seconds <seconds>', 'until every replica knows the key (longer for a mounted secret)', '30')
    .option('--json', asJson)
    .action(later(() => import('./keys.ts'), 'auditKeysAdd'));
  command('retire', 'remove the private half of a key that no longer signs')
    .argument('<id>')
    .option('--json', asJson)
    .action(later(() => import('./keys.ts'), 'auditKeysRetire'));
  command('status', 'list the keys, never their private halves')
    .option('--json', asJson)
    .action(later(() => import('./keys.ts'), 'auditKeysStatus'));
  command('export', 'print the public halves, for whoever verifies')
    .option('--pem <id>', 'only this key, as PEM')
    .action(later(() => import('./keys.ts'), 'auditKeysExport'));
}
