// Tables of secrets come from a file, or as a whole from an environment variable, where a platform has nothing else.
import { OperatorError } from '../errors.ts';
import { readSecretFile } from './secret-file.ts';

/** A file, or the name of an environment variable that has what the file would have. */
export type SecretSource = { file: string } | { env: string };

/** How messages name the source. */
export const sourceName = (source: string | SecretSource): string =>
  typeof source === 'string' ? source : 'file' in source ? source.file : `the environment variable ${source.env}`;

/** Reads the text of a source. Throws an OperatorError when it is missing, or a file that others have a part in. */
export function readSecretText(source: string | SecretSource, env: NodeJS.ProcessEnv = process.env): string {
  if (typeof source === 'string') return readSecretFile(source);
  if ('file' in source) return readSecretFile(source.file);
  const text = env[source.env];
  if (!text) throw new OperatorError(`${sourceName(source)} is not set`);
  return text;
}

/** Reads JSON from a source. Throws an OperatorError as above, or when it is not JSON, whose text it does not quote. */
export function readSecretJson(source: string | SecretSource, env?: NodeJS.ProcessEnv): unknown {
  const text = readSecretText(source, env);
  try {
    return JSON.parse(text);
  } catch {
    throw new OperatorError(`${sourceName(source)} is not JSON`);
  }
}
