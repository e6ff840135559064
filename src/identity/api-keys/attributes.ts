// Attributes of clients with API keys, which policies read as they read claims of an access token. They are in a file of
// their own beside the client file, because an older replica refuses a client file with fields that it does not know.
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { OperatorError } from '../../core/errors.ts';
import { readPrivateJson, writePrivateFile } from '../../core/private-file.ts';
import type { PolicyClaim } from '../client.ts';

/** Attributes of one client. */
export type Attributes = Readonly<Record<string, PolicyClaim>>;

const text = z.string().max(200);
const value = z.union([text, z.number(), z.boolean(), z.array(text).max(64)]);
const name = z
  .string()
  .min(1)
  .max(100)
  .refine((n) => n !== '__proto__', 'is not a name');
const fileSchema = z.strictObject({
  version: z.literal(1),
  attributes: z.record(
    z.string(),
    z.record(name, value).refine((all) => Object.keys(all).length <= 32, 'more than 32 attributes'),
  ),
});

/** The file beside a client file: `clients.json` has `clients.attributes.json`. */
export const attributesFile = (clientFile: string): string => `${clientFile.replace(/\.json$/, '')}.attributes.json`;

/**
 * The attributes of all clients, by client id; none when there is no file. Throws an OperatorError when the file is
 * readable by others or malformed.
 */
export function readAttributes(path: string): ReadonlyMap<string, Attributes> {
  if (!existsSync(path)) return new Map();
  const parsed = fileSchema.safeParse(readPrivateJson(path));
  if (!parsed.success)
    throw new OperatorError(
      parsed.error.issues.map((i) => `${path} ${i.path.map(String).join('.')}: ${i.message}`).join('\n'),
    );
  return new Map(Object.entries(parsed.data.attributes));
}

/** Sets the attributes of one client. Throws an OperatorError when one of them is not valid. */
export function setAttributes(path: string, id: string, attributes: Attributes): void {
  const all = { ...Object.fromEntries(readAttributes(path)), [id]: attributes };
  const parsed = fileSchema.safeParse({ version: 1, attributes: all });
  if (!parsed.success)
    throw new OperatorError(
      parsed.error.issues.map((i) => `attribute ${i.path.slice(2).map(String).join('.')}: ${i.message}`).join('\n'),
    );
  writePrivateFile(path, `${JSON.stringify(parsed.data, null, 2)}\n`);
}
