// `sallyport keys init|add|retire|status`: manages the sealing keys of the connector. A running connector sees a
// change within seconds. The keys themselves are never shown.
import { existsSync } from 'node:fs';
import { OperatorError } from '../core/errors.ts';
import type { SecretSource } from '../core/files/secret-source.ts';
import {
  createKey,
  createKeyringFile,
  type KeyringFile,
  readKeyring,
  sealsAt,
  writeKeyring,
} from '../keyring/keyring.ts';
import { print, printJson } from './output.ts';

/** Options of all these commands: the keyring, in a file or in an environment variable. */
export interface KeysOptions {
  file?: string;
  env?: string;
  json?: boolean;
}

function sourceOf({ file, env }: KeysOptions): SecretSource {
  if (file !== undefined && env === undefined) return { file };
  if (env !== undefined && file === undefined) return { env };
  throw new OperatorError('give --file FILE, or --env NAME for a keyring that is in an environment variable');
}

/** The file that a command is to change. Throws an OperatorError for a variable: no command can change it. */
function fileOf(options: KeysOptions): string {
  const source = sourceOf(options);
  if ('file' in source) return source.file;
  throw new OperatorError(
    `the keyring in ${source.env} cannot be changed by this command, nor while the connector runs: a process keeps the variables it was started with. Write the value to a file, give --file, put the result into the variable, and start the replicas again one after the other`,
  );
}

/** Makes a keyring. Throws an OperatorError for a file that is there: what it has sealed would be lost with it. */
export function keysInit(options: KeysOptions): void {
  const file = fileOf(options);
  const { json } = options;
  if (existsSync(file))
    throw new OperatorError(`${file} is there already; to add a key: sallyport keys add --file ${file}`);
  const keyring = createKeyringFile(new Date());
  writeKeyring(file, keyring);
  const [{ id } = { id: '' }] = keyring.sealing;
  if (json) return printJson({ id });
  print(`${file} is made, with the key ${id}; give every replica a copy`);
}

/**
 * Adds a key that opens at once but seals only after a delay. The delay gives every replica the time to read it:
 * one that has not could not open what another has sealed.
 */
export function keysAdd(options: KeysOptions & { delaySeconds: string; create?: boolean }): void {
  const file = fileOf(options);
  const { json, delaySeconds, create = false } = options;
  if (!create) refuseMissing(file);
  const delay = Number(delaySeconds);
  if (!Number.isFinite(delay) || delay < 0)
    throw new OperatorError('--delay-seconds takes a number of seconds, 0 or more');
  const now = new Date();
  const keyring: KeyringFile = existsSync(file) ? readKeyring(file) : createKeyringFile(now);
  const key = createKey(now, new Date(now.getTime() + delay * 1000));
  writeKeyring(file, { ...keyring, sealing: [...keyring.sealing, key] });
  if (json) return printJson({ id: key.id, seals_from: key.seals_from });
  print(`key ${key.id} opens now and seals from ${key.seals_from}`);
}

function refuseMissing(file: string): void {
  if (!existsSync(file))
    throw new OperatorError(
      `${file} does not exist; give the keyring of the connector, or make one with: sallyport keys init --file ${file}`,
    );
}

/**
 * Removes a key. Throws an OperatorError for the key that seals at present. What the removed key had sealed can
 * no longer be opened.
 */
export function keysRetire(id: string, options: KeysOptions): void {
  const file = fileOf(options);
  const { json } = options;
  refuseMissing(file);
  const keyring = readKeyring(file);
  if (!keyring.sealing.some((key) => key.id === id))
    throw new OperatorError(`${file} has no key "${id}"; see: sallyport keys status --file ${file}`);
  if (sealsAt(keyring, Date.now()).id === id)
    throw new OperatorError(`key "${id}" is the one that seals; add another and wait until it seals`);
  writeKeyring(file, { ...keyring, sealing: keyring.sealing.filter((key) => key.id !== id) });
  if (json) return printJson({ retired: id });
  print(`key ${id} is retired; running connectors log out the sessions that it had sealed, and its handles are void`);
}

/** Lists the keys: `seals` is the active one, `opens` only opens, `waits` will seal later. */
export function keysStatus(options: KeysOptions): void {
  const { json } = options;
  const source = sourceOf(options);
  if ('file' in source) refuseMissing(source.file);
  const keyring = readKeyring(source);
  const active = sealsAt(keyring, Date.now()).id;
  const keys = keyring.sealing.map(({ id, created_at, seals_from }) => ({
    id,
    created_at,
    seals_from,
    state: id === active ? 'seals' : Date.parse(seals_from) > Date.now() ? 'waits' : 'opens',
  }));
  if (json) return printJson({ keys });
  for (const key of keys)
    print(`${key.id}  ${key.state.padEnd(5)}  created ${key.created_at}  seals from ${key.seals_from}`);
}
