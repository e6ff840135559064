// `sallyport audit keys init|add|retire|status|export`: manages the keys that sign the logs. A running connector sees a change
// within seconds. The private halves are never shown.
import { existsSync } from 'node:fs';
import {
  createSigningKey,
  FIRST,
  readSigningKeys,
  type SigningKeysFile,
  signsAt,
  writeSigningKeys,
} from '../../audit/chain/keys.ts';
import { exportKeys } from '../../audit/read/public-keys.ts';
import { OperatorError } from '../../core/errors.ts';
import { print, printJson } from '../output.ts';

export interface AuditKeysOptions {
  file: string;
  json?: boolean;
}

/** Makes a file of keys. Throws an OperatorError for one that is there. */
export function auditKeysInit({ file, json }: AuditKeysOptions): void {
  if (existsSync(file))
    throw new OperatorError(`${file} is there already; to add a key: sallyport audit keys add --file ${file}`);
  const key = createSigningKey(Date.now(), FIRST);
  writeSigningKeys(file, { version: 1, keys: [key] });
  if (json) return printJson({ id: key.id });
  print(`${file} is made, with the key ${key.id}`);
}

/** Adds a key that signs after a delay, in which every replica that uses the file reads it. */
export function auditKeysAdd({ file, json, delaySeconds }: AuditKeysOptions & { delaySeconds: string }): void {
  const delay = Number(delaySeconds);
  if (!Number.isFinite(delay) || delay < 0)
    throw new OperatorError('--delay-seconds takes a number of seconds, 0 or more');
  const keys = readExisting(file);
  const now = Date.now();
  const key = createSigningKey(now, now + delay * 1000);
  writeSigningKeys(file, { ...keys, keys: [...keys.keys, key] });
  if (json) return printJson({ id: key.id, signs_from: key.signs_from });
  print(`key ${key.id} signs from ${key.signs_from}; give its public half to whoever verifies`);
}

/** Removes the private half of a key; the public one stays, so that what it has signed can be verified. */
export function auditKeysRetire(id: string, { file, json }: AuditKeysOptions): void {
  const keys = readExisting(file);
  const stored = keys.keys.find((key) => key.id === id);
  if (!stored) throw new OperatorError(`${file} has no key "${id}"; see: sallyport audit keys status --file ${file}`);
  if (stored.private_key === undefined) throw new OperatorError(`key "${id}" is retired already`);
  if (signsAt(keys, Date.now()).id === id)
    throw new OperatorError(`key "${id}" is the one that signs; add another and wait until it signs`);
  const { private_key: _gone, ...rest } = stored;
  const retired = { ...rest, retired_at: new Date().toISOString() };
  writeSigningKeys(file, { ...keys, keys: keys.keys.map((key) => (key.id === id ? retired : key)) });
  if (json) return printJson({ retired: id });
  print(`key ${id} is retired: nobody can sign with it any more, and what it has signed is still verified`);
}

/** Lists the keys: `signs` is the active one, `waits` will sign later, `before` can still sign, `retired` cannot. */
export function auditKeysStatus({ file, json }: AuditKeysOptions): void {
  const keys = readExisting(file);
  const now = Date.now();
  const active = signsAt(keys, now).id;
  const list = keys.keys.map(({ id, created_at, signs_from, retired_at, private_key }) => ({
    ...{ id, created_at, signs_from, retired_at: retired_at ?? null },
    state:
      private_key === undefined
        ? 'retired'
        : id === active
          ? 'signs'
          : Date.parse(signs_from) > now
            ? 'waits'
            : 'before',
  }));
  if (json) return printJson({ keys: list });
  for (const { id, state, created_at, signs_from } of list)
    print(`${id}  ${state.padEnd(7)}  created ${created_at}  signs from ${signs_from}`);
}

/** Prints the public halves: for `audit verify`, or one as PEM for other programs. */
export function auditKeysExport({ file, pem }: AuditKeysOptions & { pem?: string }): void {
  const exported = exportKeys(readExisting(file));
  if (pem === undefined) return print(JSON.stringify(exported, null, 2));
  const key = exported.keys.find(({ id }) => id === pem);
  if (!key) throw new OperatorError(`${file} has no key "${pem}"; see: sallyport audit keys status --file ${file}`);
  print(key.public_key.trimEnd());
}

function readExisting(file: string): SigningKeysFile {
  if (!existsSync(file))
    throw new OperatorError(
      `${file} does not exist; the connector makes one in its state folder, or: sallyport audit keys init --file ${file}`,
    );
  return readSigningKeys(file);
}
