// Reads the file with the credentials of each client or user: { "alice": { "username": "…", "password": "…" } }.
// Values are strings with any characters. Only the owner of the file may be able to read it.
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { readPrivateJson } from '../core/private-file.ts';
import { Secret } from '../core/secret.ts';

const fileSchema = z.record(
  z.string().min(1),
  z.record(z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'lower case letters, digits and "_"'), z.string().min(1)),
);

/** The credentials of each account by their names, and the accounts by client id, subject or value of a claim. */
export type AccountTable = ReadonlyMap<string, Readonly<Record<string, Secret>>>;

/** Throws an OperatorError when the file cannot be used. Its message names accounts and credentials, never values. */
export function readAccountsFile(path: string): AccountTable {
  const parsed = fileSchema.safeParse(readPrivateJson(path));
  if (!parsed.success) {
    throw new OperatorError(
      parsed.error.issues.map(({ path: at, message }) => `${path} ${at.map(String).join('.')}: ${message}`).join('\n'),
    );
  }
  return new Map(
    Object.entries(parsed.data).map(([key, credentials]) => [
      key,
      Object.fromEntries(Object.entries(credentials).map(([name, value]) => [name, new Secret(value)])),
    ]),
  );
}
