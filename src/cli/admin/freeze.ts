// `sallyport freeze | thaw | freezes`: the kill switch, and the pause of a backend, on every replica within a second.
import type { Command } from 'commander';
import type { FreezeList, Frozen } from '../../admin/api-schema.ts';
import { OperatorError } from '../../core/errors.ts';
import { printable } from '../../core/printable.ts';
import { type FreezeSelector, freezeText } from '../../freeze/freeze.ts';
import { paint, print, printJson, progress } from '../output.ts';
import { type AdminClientOptions, askAdmin, refusedBy, splitOptions } from './client.ts';

/** What is meant: exactly one, and an issuer only with a client or a subject. */
interface Selected {
  all?: boolean;
  backend?: string;
  tool?: string;
  role?: string;
  client?: string;
  subject?: string;
  issuer?: string;
}

type FreezeOptions = AdminClientOptions & Selected & { reason: string; until?: string };

/** Freezes. Sets exit code 1 where the policy that decides does not look at it: then the freeze stops nobody. */
export async function freeze(options: FreezeOptions, command: Command): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const { reason, until, ...selected } = others;
  const asked = await askAdmin<Frozen>(at, '/api/v1/freezes', {
    ...one(selected, command),
    ...(until !== undefined && { until: timeOf(until) }),
    reason,
  });
  if (!asked.ok) throw refusedBy(asked);
  tellHonours(asked.answer);
  if (json) return printJson(asked.answer);
  print(
    `${asked.answer.frozen} is frozen ${asked.answer.until === null ? 'until it is thawed' : `until ${asked.answer.until}`}`,
  );
}

/** Says where a freeze stops nobody. */
export function tellHonours({ policy, hint }: Pick<Frozen, 'policy' | 'hint'>): void {
  if (hint !== undefined) return progress(`nothing may be frozen by this: ${hint}`);
  if (policy.honours === 'yes') return;
  if (policy.honours === 'unknown')
    return progress(
      `whether policy ${policy.revision} denies by it could not be told: no call could be made up that it lets pass; look at "input.freeze" in its rules`,
    );
  process.exitCode = 1;
  progress(
    paint('red', `policy ${policy.revision} does not look at it, so it stops nobody`, process.stderr) +
      ': its rules leave "input.freeze" aside (sallyport policy update takes over the shipped rule)',
  );
}

/** Thaws what was frozen under the same name. */
export async function thaw(
  options: AdminClientOptions & Selected & { reason: string },
  command: Command,
): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const { reason, ...selected } = others;
  const asked = await askAdmin<{ thawed: string }>(at, '/api/v1/thaws', { ...one(selected, command), reason });
  if (!asked.ok) throw refusedBy(asked);
  if (json) return printJson(asked.answer);
  print(`${asked.answer.thawed} is thawed`);
}

/** Lists what is frozen. */
export async function freezes(options: AdminClientOptions): Promise<void> {
  const { at, json } = splitOptions(options);
  const asked = await askAdmin<FreezeList>(at, '/api/v1/freezes');
  if (!asked.ok) throw refusedBy(asked);
  if (json) return printJson(asked.answer);
  const rows = asked.answer.freezes;
  for (const { selector, operator, reason, since, until } of rows)
    print(
      printable(
        `${freezeText(selector as FreezeSelector)}  ${since} to ${until ?? 'a thaw'}, by ${operator}: ${reason}`,
      ),
    );
  if (rows.length === 0) print('nothing is frozen');
}

function one({ issuer, ...selected }: Selected, command: Command): object {
  const given = Object.entries(selected).filter(([, value]) => value !== undefined);
  if (given.length !== 1)
    command.error('error: give exactly one of --all, --backend, --tool, --role, --client and --subject');
  if (issuer !== undefined && selected.client === undefined && selected.subject === undefined)
    command.error('error: --issuer goes with --client or --subject');
  return { ...Object.fromEntries(given), ...(issuer !== undefined && { issuer }) };
}

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time as RFC 3339, from one, or from how long it is until then. */
export function timeOf(text: string): string {
  const span = /^(\d{1,6})([smhd])$/.exec(text);
  if (span) return new Date(Date.now() + Number(span[1]) * UNITS[span[2] as keyof typeof UNITS]).toISOString();
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) || Number.isNaN(Date.parse(text)))
    throw new OperatorError(
      `"${text.slice(0, 40)}" is no time: give one such as 2026-12-24T18:00:00Z, or how long (30m, 8h, 2d)`,
    );
  return new Date(text).toISOString();
}
