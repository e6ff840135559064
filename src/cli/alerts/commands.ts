// `sallyport alerts …`: the commands with their options.
import type { Command } from 'commander';
import { asking } from '../asking.ts';
import { later } from '../later.ts';

export function addAlerts(program: Command): void {
  const alerts = program.command('alerts').description('alerts: what is open, who is told, and what to do about it');
  const command = asking(alerts);
  const work = () => import('./alerts.ts');
  command('list', 'open incidents, receivers and silences (right: read)')
    .option('--json', 'print them as JSON')
    .action(later(work, 'alertsList'));
  command('test', 'send a test to every receiver, and say who has taken it (right: act)')
    .option('--receiver <name>', 'only this one')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--json', 'print the results as JSON')
    .action(later(work, 'alertsTest'));
  command('ack', 'take an incident: while it goes on, nobody is told again (right: act)')
    .argument('<incident>', 'the beginning of its name, as "alerts list" shows it')
    .requiredOption('--reason <text>', 'why, for the record and the receivers')
    .option('--json', 'print the incident as JSON')
    .action(later(work, 'alertsAck'));
  command('silence', 'tell nobody of some alerts for a while; they stay on record (right: act)')
    .requiredOption('--codes <pattern>', 'a code, the beginning of codes ("replay.*"), or "*"')
    .option('--client <id>', 'only about this client id')
    .option('--until <time>', 'when it ends (RFC 3339, or 30m, 8h, 2d)')
    .option('--end', 'end it now')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--json', 'print the result as JSON')
    .action(later(work, 'alertsSilence'));
}
