// The file in which the thread that watches the process says why it ended it. It is read by the next start: the same policy
// comes up again with the guard on every input, and the death goes on record.
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { writePrivateFile } from '../../core/files/private-file.ts';

const deathSchema = z.strictObject({
  at: z.iso.datetime(),
  /** The policy that held the process. */
  revision: z.string(),
  /** SHA-256 of its module, in hex: with other settings the same rules hold it as well. */
  wasm_sha256: z.string(),
  /** The tool whose call was being decided; empty where that cannot be told. */
  tool: z.string(),
  /** Whether it is in the decision log. */
  recorded: z.boolean(),
});
const fileSchema = z.strictObject({ version: z.literal(1), deaths: z.array(deathSchema) });

export type Death = z.infer<typeof deathSchema>;

/** Most that are kept. The decision log has all of them. */
const MOST = 100;

/** `unreadable`: nobody knows which policies have held the process, so each counts as one that has. */
export function readDeaths(file: string): { deaths: readonly Death[]; unreadable: boolean } {
  if (!existsSync(file)) return { deaths: [], unreadable: false };
  try {
    return { deaths: fileSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).deaths, unreadable: false };
  } catch {
    return { deaths: [], unreadable: true };
  }
}

/** Throws when it cannot be written. */
export function writeDeaths(file: string, deaths: readonly Death[]): void {
  writePrivateFile(file, `${JSON.stringify({ version: 1, deaths: deaths.slice(-MOST) }, null, 2)}\n`);
}
