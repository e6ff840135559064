// `sallyport sessions`: which backend sessions there are, whose they are and when they rotate or end.
import type { SessionPage } from '../../admin/api-schema.ts';
import { OperatorError } from '../../core/errors.ts';
import { print, printJson } from '../output.ts';
import { type AdminClientOptions, askAdmin, refusedBy, splitOptions } from './client.ts';

/** Options of the command: whose sessions, and how many. */
export interface SessionsOptions extends AdminClientOptions {
  backend?: string;
  client?: string;
  subject?: string;
  limit: string;
  after?: string;
}

/** Prints one page. Rejects with an OperatorError when the admin listener does not answer. */
export async function sessions(options: SessionsOptions): Promise<void> {
  const { at, json, others } = splitOptions(options);
  if (!/^\d{1,4}$/.test(others.limit) || Number(others.limit) < 1 || Number(others.limit) > 1000)
    throw new OperatorError('--limit takes a number from 1 to 1000; --after gives the pages behind the first');
  const given = Object.entries(others).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const asked = await askAdmin<SessionPage>(at, `/api/v1/sessions?${new URLSearchParams(given)}`);
  if (!asked.ok) throw refusedBy(asked);
  const { answer: page } = asked;
  if (json) return printJson(page);
  const seconds = (value: number | null) => (value === null ? '-' : `${value} s`);
  const rows = page.sessions.map((one) => [
    one.session,
    one.backend,
    one.client === one.subject ? one.client : `${one.client} for ${one.subject}`,
    String(one.generation),
    seconds(one.age_seconds),
    seconds(one.token_age_seconds),
    seconds(one.idle_seconds),
    String(one.token_uses),
    [one.places.ipv4?.network, one.places.ipv6?.network, ...one.places.networks].filter(Boolean).join(' '),
    seconds(one.rotates_in_seconds),
  ]);
  const head = [
    'session',
    'backend',
    'owner',
    'generation',
    'age',
    'token age',
    'idle',
    'uses',
    'places',
    'rotates in',
  ];
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)));
  for (const row of [head, ...rows])
    print(
      row
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  print(`${page.sessions.length} of ${page.total}`);
  if (page.next !== null) print(`more: --after ${page.next}`);
}
