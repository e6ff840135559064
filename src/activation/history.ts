// Which policies have been in force on this replica, in order: what a rollback goes back to, and what a restart goes on with.
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { writePrivateFile } from '../core/files/private-file.ts';

/** One entry, as the file and the API have it. */
export const entrySchema = z.strictObject({
  at: z.iso.datetime(),
  what: z.enum(['start', 'activate', 'rollback']),
  revision: z.string(),
  /** The revision that the configured folder had then. */
  folder: z.string(),
  operator: z.string(),
  reason: z.string(),
});
const fileSchema = z.strictObject({ version: z.literal(1), entries: z.array(entrySchema) });

export type Activated = z.infer<typeof entrySchema>;

export interface History {
  readonly entries: readonly Activated[];
  /** Throws when it cannot be written; then it was not added. */
  add(entry: Activated): void;
}

/** Most entries that are kept. The decision log has all of them. */
const MOST = 200;

/** Throws an OperatorError for a file that cannot be read: nobody could know which policy was meant to decide. */
export function openHistory(file: string): History {
  let entries = readEntries(file);
  return {
    get entries() {
      return entries;
    },
    add(entry) {
      const next = [...entries, entry].slice(-MOST);
      writePrivateFile(file, `${JSON.stringify({ version: 1, entries: next }, null, 2)}\n`);
      entries = next;
    },
  };
}

function readEntries(file: string): readonly Activated[] {
  if (!existsSync(file)) return [];
  try {
    return fileSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).entries;
  } catch {
    throw new OperatorError(
      `${file} cannot be read, and which policy shall decide stands there: put it back, or remove it to go on with the policy folder`,
    );
  }
}
