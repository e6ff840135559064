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

/** The records of a file that are whole: a write that failed leaves a part of one. */
export const wholeRecordsOf = (file: string): Loose[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line)];
      } catch {
        return [];
      }
    });

/** What the log says of itself, and not of calls or sessions. */
const ofItself = ({ type, event }: Loose): boolean =>
  type === 'checkpoint' || (type === 'event' && ['log_started', 'log_rotated', 'log_torn'].includes(event));

/** The records of a folder without what the log says of itself: of one type as they were written, or all by their times. */
export function decisionLog(dir: string, type?: string): Loose[] {
  const of = (name: string) => recordsOf(join(dir, name)).filter((record) => !ofItself(record));
  if (type !== undefined)
    return of(type === 'decision' || type === 'outcome' ? 'decisions.jsonl' : 'events.jsonl').filter(
      (record) => record.type === type,
    );
  return [...of('events.jsonl'), ...of('decisions.jsonl')].sort((a, b) =>
    a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0,
  );
}

/** The text of both files. */
export const logText = (dir: string): string =>
  ['events.jsonl', 'decisions.jsonl'].map((name) => readFileSync(join(dir, name), 'utf8')).join('');
