// Reads the logs of a connector: both files together, in the order of their times.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

// biome-ignore lint/suspicious/noExplicitAny: tests look into records of every shape
type Loose = any;

/** The records of one file. */
export const recordsOf = (file: string): Loose[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : [];

/** What the log says of itself, and not of calls or sessions. */
const ofItself = ({ type, event }: Loose): boolean =>
  type === 'checkpoint' || (type === 'event' && ['log_started', 'log_rotated', 'log_torn'].includes(event));

/** The records of decisions.jsonl and events.jsonl in a folder, without what the log says of itself. */
export function decisionLog(dir: string, type?: string): Loose[] {
  const records = ['events.jsonl', 'decisions.jsonl']
    .flatMap((name) => recordsOf(join(dir, name)))
    .filter((record) => !ofItself(record))
    .sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
  return type === undefined ? records : records.filter((record) => record.type === type);
}

/** The text of both files. */
export const logText = (dir: string): string =>
  ['events.jsonl', 'decisions.jsonl'].map((name) => readFileSync(join(dir, name), 'utf8')).join('');
