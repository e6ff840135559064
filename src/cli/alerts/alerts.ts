// `sallyport alerts list | test | ack | silence`, through the admin listener of a running connector.
import type { Command } from 'commander';
import type { AlertList } from '../../admin/api-schema.ts';
import { printable } from '../../core/printable.ts';
import { type AdminClientOptions, askAdmin, refusedBy, splitOptions } from '../admin/client.ts';
import { timeOf } from '../admin/freeze.ts';
import { paint, print, printJson } from '../output.ts';

const SEVERITY: Record<AlertList['incidents'][number]['severity'], 'red' | 'yellow' | 'dim'> = {
  ...{ high: 'red', medium: 'yellow', low: 'dim' },
};
/** Enough digits of the name of an incident to tell it from others. */
const SHOWN = 12;

/** Prints what is open. Sets exit code 1 where a receiver does not take alerts. */
export async function alertsList(options: AdminClientOptions): Promise<void> {
  const { at, json } = splitOptions(options);
  const asked = await askAdmin<AlertList>(at, '/api/v1/alerts');
  if (!asked.ok) throw refusedBy(asked);
  const { incidents, receivers, silences, total } = asked.answer;
  if (receivers.some(({ problem }) => problem !== null)) process.exitCode = 1;
  if (json) return printJson(asked.answer);
  for (const each of incidents) {
    const { incident, severity, code, title, count, last, client, acknowledged } = each;
    const who = client ? ` by ${client.id}` : '';
    print(
      `${incident.slice(0, SHOWN)}  ${paint(SEVERITY[severity], severity.padEnd(6))}  ${printable(`${code}${who}: ${title}`)}`,
    );
    const taken = acknowledged ? `, ${acknowledged.operator} has it (${acknowledged.reason})` : '';
    print(paint('dim', printable(`              ${count} since ${each.since}, the last at ${last}${taken}`)));
    if (each.mend !== null) print(paint('dim', printable(`              ${each.mend}`)));
  }
  if (incidents.length < total) print(`${total - incidents.length} more; --json has the newest 1000`);
  if (total === 0) print('nothing is open');
  for (const { name, type, waiting, delivered, dropped, gaps, problem } of receivers) {
    const more = `${dropped > 0 ? `, ${dropped} dropped` : ''}${gaps > 0 ? `, ${gaps} sent again after a gap` : ''}`;
    const state = problem === null ? paint('green', 'ok') : paint('red', printable(problem));
    print(`receiver ${name} (${type})  ${delivered} delivered, ${waiting} waiting${more}  ${state}`);
  }
  if (receivers.length === 0) print('no receiver is configured: alerts stand in the decision log and reach nobody');
  for (const { codes, client, until, operator, reason } of silences)
    print(
      printable(`silent  ${codes}${client === null ? '' : ` of ${client}`} until ${until}, by ${operator}: ${reason}`),
    );
}

interface TestResult {
  results: { receiver: string; ok: boolean; problem: string | null }[];
}

/** Sends a test. Sets exit code 1 where a receiver has not taken it. */
export async function alertsTest(options: AdminClientOptions & { receiver?: string; reason: string }): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const asked = await askAdmin<TestResult>(at, '/api/v1/alerts/test', others);
  if (!asked.ok) throw refusedBy(asked);
  const { results } = asked.answer;
  if (results.some(({ ok }) => !ok)) process.exitCode = 1;
  if (json) return printJson(asked.answer);
  for (const { receiver, problem } of results)
    print(`${receiver}  ${problem === null ? paint('green', 'has taken it') : paint('red', printable(problem))}`);
}

/** Takes an incident. */
export async function alertsAck(incident: string, options: AdminClientOptions & { reason: string }): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const asked = await askAdmin<AlertList['incidents'][number]>(at, '/api/v1/alerts/acknowledgements', {
    ...others,
    incident,
  });
  if (!asked.ok) throw refusedBy(asked);
  if (json) return printJson(asked.answer);
  const { code, incident: name } = asked.answer;
  print(`${name.slice(0, SHOWN)} (${code}) is yours: nobody is told of more of it before it is over`);
}

interface SilenceOptions extends AdminClientOptions {
  codes: string;
  client?: string;
  until?: string;
  end?: boolean;
  reason: string;
}

/** Silences alerts, or ends that. */
export async function alertsSilence(options: SilenceOptions, command: Command): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const { until, end = false, ...named } = others;
  if (end === (until !== undefined)) command.error('error: give --until, or --end to end it now');
  const asked = await askAdmin<{ until?: string; hint?: string }>(
    at,
    end ? '/api/v1/alerts/silences/end' : '/api/v1/alerts/silences',
    { ...named, ...(until !== undefined && { until: timeOf(until) }) },
  );
  if (!asked.ok) throw refusedBy(asked);
  if (json) return printJson(asked.answer);
  const what = `${others.codes}${others.client === undefined ? '' : ` of ${others.client}`}`;
  print(printable(end ? `${what} is told again` : `${what} is silent until ${asked.answer.until}`));
  if (asked.answer.hint !== undefined) print(`look at the spelling: ${asked.answer.hint}`);
}
