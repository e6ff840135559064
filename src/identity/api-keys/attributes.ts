// Attributes of clients with API keys, which policies read as they read claims of an access token. They are in a file of
// their own beside the client file, because an older replica refuses a client file with fields that it does not know.
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { OperatorError } from '../../core/errors.ts';
import { writePrivateFile } from '../../core/files/private-file.ts';
import { readSecretJson } from '../../core/files/secret-source.ts';
import { isObject, isWellFormed } from '../../formats/json.ts';
import type { PolicyClaim } from '../client.ts';

/** Attributes of one client. */
export type Attributes = Readonly<Record<string, PolicyClaim>>;

const text = z.string().max(200).refine(isWellFormed, 'is no Unicode text');
const value = z.union([text, z.number(), z.boolean(), z.array(text).max(64)]);
const name = z.string().min(1).max(100).refine(isWellFormed, 'is no Unicode text');
const fileSchema = z.strictObject({
  version: z.literal(1),
  attributes: z.record(
    z.string(),
    z.record(name, value).refine((all) => Object.keys(all).length <= 32, 'there are more than 32 attributes'),
  ),
});

/** A name that JavaScript treats apart would be dropped in silence. */
function refuseOddNames(table: unknown, at: string): void {
  for (const [key, inner] of Object.entries(isObject(table) ? table : {})) {
    if (key === '__proto__') throw new OperatorError(`${at}: "__proto__" is not a name`);
    refuseOddNames(inner, at);
  }
}

/** The file beside a client file: `clients.json` has `clients.attributes.json`. */
export const attributesFile = (clientFile: string): string => `${clientFile.replace(/\.json$/, '')}.attributes.json`;

/**
 * The attributes of all clients, by client id; none when there is no file. Throws an OperatorError when the file is
 * readable by others (R-48) or malformed.
 */
export function readAttributes(path: string): ReadonlyMap<string, Attributes> {
  if (!existsSync(path)) return new Map();
  const read = readSecretJson(path);
  refuseOddNames(read, path);
  const parsed = fileSchema.safeParse(read);
  if (!parsed.success)
    throw new OperatorError(
      parsed.error.issues.map((i) => `${path} ${i.path.map(String).join('.')}: ${i.message}`).join('\n'),
    );
  return new Map(Object.entries(parsed.data.attributes));
}

/** Throws an OperatorError when one of the attributes of a client is not valid. */
export function checkAttributes(attributes: Attributes): void {
  refuseOddNames(attributes, 'attribute');
  parsed({ client: attributes });
}

/** Sets the attributes of one client, or removes them. Throws an OperatorError when one of them is not valid. */
export function setAttributes(path: string, id: string, attributes: Attributes | undefined): void {
  const all: Record<string, Attributes> = Object.fromEntries(readAttributes(path));
  delete all[id];
  const file = parsed({ ...all, ...(attributes && { [id]: attributes }) });
  writePrivateFile(path, `${JSON.stringify(file, null, 2)}\n`);
}

function parsed(all: Record<string, Attributes>): z.infer<typeof fileSchema> {
  const result = fileSchema.safeParse({ version: 1, attributes: all });
  if (result.success) return result.data;
  const where = (path: PropertyKey[]) => path.slice(2).map(String).join('.');
  throw new OperatorError(
    result.error.issues
      .map(({ path, message }) => `attribute${path.length > 2 ? ` ${where(path)}` : 's'}: ${message}`)
      .join('\n'),
  );
}
