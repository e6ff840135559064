// Which policies have been in force on this replica, in order: what a rollback goes back to, and what a restart goes on with.
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { writePrivateFile } from '../core/files/private-file.ts';
import { orderSchema } from './order.ts';

/** One entry, as the file and the API have it. */
export const entrySchema = z.strictObject({
  at: z.iso.datetime(),
  what: z.enum(['start', 'activate', 'rollback']),
  revision: z.string(),
  /** The revision that the configured folder had then. */
  folder: z.string(),
  operator: z.string(),
  reason: z.string(),
  /** When it was signed, in seconds since 1970, where that is known. */
  issued: z.int().nonnegative().optional(),
  /** The order by which every replica on the store was meant; left out where only this one was. */
  order: orderSchema.optional(),
});
const fileSchema = z.strictObject({ version: z.literal(1), entries: z.array(entrySchema) });

export type Activated = z.infer<typeof entrySchema>;

export interface History {
  /** Its path. */
  readonly file: string;
  readonly entries: readonly Activated[];
  /** Throws when it cannot be written; then it was not added. */
  add(entry: Activated): void;
}

/**
 * Why a signed policy may not be activated: it is older than one that was. Whoever has the file of an old one, with a hole
 * that was mended since, must not bring the hole back. Where a signature has no time, one that was in force and
 * was replaced is the older one. Undefined where it may.
 */
export function olderThanActivated(
  entries: readonly Activated[],
  { revision, issued }: { revision: string; issued: number | undefined },
): string | undefined {
  if (entries.at(-1)?.revision === revision) return undefined;
  const newest = Math.max(...entries.map((entry) => entry.issued ?? -1));
  const mend = 'to go back to it, run "sallyport policy rollback --to" with its revision';
  if (newest >= 0 && (issued === undefined || issued < newest))
    return `policy ${revision} was signed ${issued === undefined ? 'without a time' : at(issued)}, and one of ${at(newest)} was activated since; ${mend}`;
  const replaced = newest < 0 && entries.some((entry) => entry.revision === revision);
  return replaced ? `policy ${revision} was in force before, and was replaced; ${mend}` : undefined;
}

const at = (seconds: number): string => new Date(seconds * 1000).toISOString();

/** Most entries that are kept. The decision log has all of them. */
const MOST = 200;

/** Throws an OperatorError for a file that cannot be read: nobody could know which policy was meant to decide. */
export function openHistory(file: string): History {
  let entries = readEntries(file);
  return {
    file,
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
