// Reads the file with the credentials of each client or user: { "alice": { "username": "…", "password": "…" } }.
// Values are strings with any characters. Only the owner of the file may be able to read it.
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { readSecretJson, type SecretSource, sourceName } from '../core/files/secret-source.ts';
import { Secret } from '../core/secret.ts';
import { isObject } from '../formats/json.ts';

const credentialsSchema = z.record(
  z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'lower case letters, digits and "_"'),
  z.string().min(1),
);

/** The credentials of each account by their names, and the accounts by client id, subject or value of a claim. */
export type AccountTable = ReadonlyMap<string, Readonly<Record<string, Secret>>>;

/** Throws an OperatorError when the file cannot be used. Its message names accounts and credentials, never values. */
export function readAccountsFile(source: SecretSource, env?: NodeJS.ProcessEnv): AccountTable {
  const path = sourceName(source);
  const file = readSecretJson(source, env);
  if (!isObject(file)) throw new OperatorError(`${path} is not an object of accounts`);
  const table = new Map<string, Readonly<Record<string, Secret>>>();
  const problems: string[] = [];
  // Each account is checked by itself: as the key of an object of zod, a user called "__proto__" would be lost.
  for (const [key, value] of Object.entries(file)) {
    const parsed = credentialsSchema.safeParse(value);
    if (key === '') problems.push(`${path}: an account without a name`);
    for (const { path: at, message } of parsed.error?.issues ?? [])
      problems.push(`${path} ${[key, ...at].map(String).join('.')}: ${message}`);
    const credentials = Object.entries(parsed.data ?? {}).map(([name, text]) => [name, new Secret(text)] as const);
    table.set(key, Object.fromEntries(credentials));
  }
  if (problems.length > 0) throw new OperatorError(problems.join('\n'));
  return table;
}
