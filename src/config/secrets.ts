// Reads the credentials that the configuration refers to. They come only from files or the environment, so
// that nobody can open a session with a copy of connector.yaml.
import { messageOf, OperatorError } from '../core/errors.ts';
import { readSecretFile } from '../core/files/secret-file.ts';
import { Secret } from '../core/secret.ts';
import type { AccountTable } from './accounts-file.ts';
import type { SecretRef } from './schema/backend.ts';

/**
 * One credential; of a file without the line break at its end. `label` says in messages where the reference stands.
 * Throws an OperatorError that names the reference and never the value.
 */
export function resolveSecret(ref: SecretRef, label: string, env: NodeJS.ProcessEnv = process.env): Secret {
  if ('env' in ref) {
    const value = env[ref.env];
    if (!value) throw new OperatorError(`${label}: the environment variable ${ref.env} is not set`);
    return new Secret(value);
  }
  let text: string;
  try {
    text = readSecretFile(ref.file);
  } catch (thrown) {
    throw new OperatorError(`${label}: ${messageOf(thrown)}`);
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new OperatorError(`${label}: ${ref.file} is empty`);
  return new Secret(value);
}

/** All shared credentials of one backend. Throws one OperatorError with all of their problems. */
export function resolveCredentials(
  refs: Record<string, SecretRef>,
  backend: string,
  env?: NodeJS.ProcessEnv,
): Record<string, Secret> {
  return resolveAll(refs, `backends.${backend}.credentials`, env);
}

/** The credentials of each account of a backend. Throws an OperatorError with all problems of one account. */
export function resolveAccounts(
  map: Record<string, Record<string, SecretRef>>,
  backend: string,
  env?: NodeJS.ProcessEnv,
): AccountTable {
  return new Map(
    Object.entries(map).map(([key, refs]) => [key, resolveAll(refs, `backends.${backend}.accounts.map.${key}`, env)]),
  );
}

function resolveAll(refs: Record<string, SecretRef>, at: string, env?: NodeJS.ProcessEnv): Record<string, Secret> {
  const problems: string[] = [];
  const values: Record<string, Secret> = {};
  for (const [name, ref] of Object.entries(refs)) {
    try {
      values[name] = resolveSecret(ref, `${at}.${name}`, env);
    } catch (thrown) {
      problems.push(messageOf(thrown));
    }
  }
  if (problems.length > 0) throw new OperatorError(problems.join('\n'));
  return values;
}
