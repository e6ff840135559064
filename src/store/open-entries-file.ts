// The entries of open logins in a file of the state folder: one line for each change, and written anew when most of
// them are over.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { writePrivateFile } from '../core/files/private-file.ts';
import { isObject } from '../formats/json.ts';
import type { OpenEntries } from '../session/end/open-entries.ts';
import type { OpenEntry } from '../session/record.ts';

/** The file is written anew when it has this many lines more than twice the open entries. */
const SPARE_LINES = 1000;

const nameOf = ({ session, login }: Pick<OpenEntry, 'session' | 'login'>): string => `${session} ${login}`;

/**
 * Reads the entries that an earlier process has left. `onProblem` is called when the file cannot be read or written:
 * then a loss of the store is not noticed for these logins.
 */
export function openEntriesFile(path: string, onProblem: (problem: string) => void): OpenEntries {
  const entries = load(path, onProblem);
  let lines = Number.POSITIVE_INFINITY;

  function write(line: object): void {
    try {
      if (lines > 2 * entries.size + SPARE_LINES) {
        writePrivateFile(path, [...entries.values()].map((entry) => `${JSON.stringify({ open: entry })}\n`).join(''));
        lines = entries.size;
      } else {
        appendFileSync(path, `${JSON.stringify(line)}\n`, { mode: 0o600 });
        lines += 1;
      }
    } catch {
      // Half a line may be there now; the next write makes the file anew.
      lines = Number.POSITIVE_INFINITY;
      onProblem(`${path}: open logins cannot be noted there; if the store is lost, nobody knows of them`);
    }
  }

  return {
    put(entry) {
      entries.set(nameOf(entry), entry);
      write({ open: entry });
    },
    remove(entry) {
      if (entries.delete(nameOf(entry))) write({ closed: nameOf(entry) });
    },
    has: (entry) => entries.has(nameOf(entry)),
    all: () => [...entries.values()],
  };
}

/** A line that makes no sense is left out: the last one may have been cut off by a crash. */
function load(path: string, onProblem: (problem: string) => void): Map<string, OpenEntry> {
  const entries = new Map<string, OpenEntry>();
  let text = '';
  try {
    if (existsSync(path)) text = readFileSync(path, 'utf8');
  } catch {
    onProblem(`${path}: the logins that were open cannot be read`);
  }
  for (const line of text.split('\n')) {
    try {
      const { open, closed } = JSON.parse(line) as { open?: unknown; closed?: unknown };
      if (typeof closed === 'string') entries.delete(closed);
      if (isEntry(open)) entries.set(nameOf(open), open);
    } catch {}
  }
  return entries;
}

const isEntry = (value: unknown): value is OpenEntry =>
  isObject(value) &&
  ['backend', 'owner', 'session', 'epoch'].every((name) => typeof value[name] === 'string') &&
  Number.isSafeInteger(value.login);
