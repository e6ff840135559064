// `sallyport audit pseudonyms status|find|destroy`: looks after the keys of the pseudonyms in the log.
import { readFileSync } from 'node:fs';
import { pseudonymWith, readPseudonymKeys, writePseudonymKeys } from '../../audit/pseudonyms.ts';
import { OperatorError } from '../../core/errors.ts';
import { print, printJson } from '../output.ts';

export interface PseudonymsOptions {
  file: string;
  json?: boolean;
}

/** Lists the periods and whether there is still a key. */
export function pseudonymsStatus({ file, json }: PseudonymsOptions): void {
  const { days, periods } = readPseudonymKeys(file);
  const list = periods.map(({ from, key }) => ({ from, key: key !== null }));
  if (json) return printJson({ days, periods: list });
  for (const { from, key } of list) print(`${from}  ${days} days  ${key ? 'has its key' : 'destroyed'}`);
}

/** Prints the pseudonym of a value, which comes on standard input so that it stands in no history, in each period. */
export function pseudonymsFind({ file, json }: PseudonymsOptions): void {
  const value = readFileSync(0, 'utf8').replace(/\r?\n$/, '');
  if (value === '') throw new OperatorError('give the value on standard input');
  const found = readPseudonymKeys(file).periods.flatMap(({ from, key }) =>
    key === null ? [] : [`pseudonym:${from.replaceAll('-', '')}:${pseudonymWith(Buffer.from(key, 'base64'), value)}`],
  );
  if (json) return printJson({ pseudonyms: found });
  for (const each of found) print(each);
}

/** Destroys the keys of periods that have ended by a day. Throws an OperatorError where there is none, and for the present one. */
export function pseudonymsDestroy({ file, json, before }: PseudonymsOptions & { before: string }): void {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(before) || Number.isNaN(Date.parse(before)))
    throw new OperatorError('--before takes a day, such as 2026-01-31');
  const keys = readPseudonymKeys(file);
  const end = Date.parse(before);
  const gone = keys.periods
    .slice(0, -1)
    .filter(({ key }, i) => key !== null && Date.parse(keys.periods[i + 1]?.from ?? '') <= end)
    .map(({ from }) => from);
  if (gone.length === 0) throw new OperatorError(`no period that has a key had ended by ${before}`);
  const periods = keys.periods.map((period) => (gone.includes(period.from) ? { ...period, key: null } : period));
  writePseudonymKeys(file, { ...keys, periods });
  if (json) return printJson({ destroyed: gone });
  print(
    `destroyed the keys of ${gone.join(', ')}: nobody can tell any more what was meant; destroy copies of the file, too`,
  );
}
