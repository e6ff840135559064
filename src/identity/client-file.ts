// Reads and writes the file behind the API key verifier: client records with hashed keys. A key is 256 random
// bits, so a plain SHA-256 is enough; the file never holds a usable key.
import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { writePrivateFile } from '../core/files/private-file.ts';
import { readSecretJson, type SecretSource, sourceName } from '../core/files/secret-source.ts';
import { Secret } from '../core/secret.ts';

const name = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]+$/u, 'has control characters');

const recordSchema = z.strictObject({
  id: name,
  subject: name,
  roles: z.array(name).max(64),
  scopes: z.array(name).max(64),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime().nullable(),
  key_sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const clients = z.array(recordSchema).superRefine((list, context) => {
  // Of two with one key the second would never be the one who calls; of two with one id a removal would leave one.
  for (const key of ['id', 'key_sha256'] as const) {
    const values = list.map((client) => client[key]);
    const i = values.findIndex((value, at) => values.indexOf(value) !== at);
    if (i > 0) context.addIssue({ code: 'custom', path: [i, key], message: 'stands here twice' });
  }
});
const fileSchema = z.strictObject({ version: z.literal(1), clients });

/** One client in the file. Times are RFC 3339; `expires_at` null means that the key does not expire. */
export type ClientRecord = z.infer<typeof recordSchema>;

/** SHA-256 of an API key in hex: the form in which the file holds it. */
export const hashKey = (key: string): string => hash('sha256', key);

/**
 * Reads the client records. Throws an OperatorError when the file or variable is missing, readable by others, or
 * malformed.
 */
export function readClientFile(source: string | SecretSource, env?: NodeJS.ProcessEnv): ClientRecord[] {
  const parsed = fileSchema.safeParse(readSecretJson(source, env));
  if (!parsed.success) {
    throw new OperatorError(
      parsed.error.issues.map((i) => `${sourceName(source)} ${i.path.map(String).join('.')}: ${i.message}`).join('\n'),
    );
  }
  return parsed.data.clients;
}

/** What `addClient` needs to know. `subject` defaults to the id; without `expiresAt` the key does not expire. */
export interface NewClient {
  id: string;
  subject?: string;
  roles: string[];
  scopes: string[];
  expiresAt?: Date;
  now: Date;
}

/**
 * Adds a client to the file and returns its API key. The key is stored nowhere, so this is the only time it can
 * be shown. Throws an OperatorError when the id exists and `replace` is not set, or when a field is not valid.
 */
export function addClient(path: string, existing: ClientRecord[], client: NewClient, replace = false): Secret {
  if (!replace && existing.some((c) => c.id === client.id)) {
    throw new OperatorError(`${path} already has a client "${client.id}"; use --replace to give it a new key`);
  }
  const key = new Secret(`sp_${randomBytes(32).toString('base64url')}`);
  const record: ClientRecord = {
    id: client.id,
    subject: client.subject ?? client.id,
    roles: client.roles,
    scopes: client.scopes,
    created_at: client.now.toISOString(),
    expires_at: client.expiresAt?.toISOString() ?? null,
    key_sha256: hashKey(key.reveal()),
  };
  const checked = recordSchema.safeParse(record);
  if (!checked.success)
    throw new OperatorError(
      checked.error.issues.map((i) => `client ${i.path.map(String).join('.')}: ${i.message}`).join('\n'),
    );
  writeClients(path, [...existing.filter((c) => c.id !== client.id), record]);
  return key;
}

/** Removes a client from the file. Throws an OperatorError when it is not there. */
export function removeClient(path: string, existing: ClientRecord[], id: string): void {
  if (!existing.some((client) => client.id === id))
    throw new OperatorError(`${path} has no client "${id}"; see: sallyport client list --file ${path}`);
  writeClients(
    path,
    existing.filter((client) => client.id !== id),
  );
}

function writeClients(path: string, records: ClientRecord[]): void {
  const clients = records.sort((a, b) => (a.id < b.id ? -1 : 1));
  writePrivateFile(path, `${JSON.stringify({ version: 1, clients }, null, 2)}\n`);
}
