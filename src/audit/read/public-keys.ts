// The public halves of the keys that sign, as an auditor has them: handed over, and never taken from a log.
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { publicKeyOf, type SigningKeysFile } from '../chain/keys.ts';

const publicKeySchema = z.strictObject({
  id: z.string(),
  /** PEM (SPKI). */
  public_key: z.string(),
  signs_from: z.iso.datetime(),
  retired_at: z.iso.datetime().nullable(),
});

const fileSchema = z.strictObject({ version: z.literal(1), keys: z.array(publicKeySchema).min(1) });

/** The content of the file. */
export type PublicKeysFile = z.infer<typeof fileSchema>;
export type PublicKey = z.infer<typeof publicKeySchema>;

/** What is handed to an auditor. */
export const exportKeys = ({ keys }: SigningKeysFile): PublicKeysFile => ({
  version: 1,
  keys: keys.map(({ id, public_key, signs_from, retired_at }) => ({
    id,
    public_key: String(publicKeyOf(public_key).export({ format: 'pem', type: 'spki' })),
    signs_from,
    retired_at: retired_at ?? null,
  })),
});

/** Reads files of them, those of several replicas together. Throws an OperatorError for anything else. */
export function readPublicKeys(files: readonly string[]): PublicKey[] {
  return files.flatMap((file) => {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (thrown) {
      throw new OperatorError(`--keys: ${file} cannot be read: ${(thrown as NodeJS.ErrnoException).code}`);
    }
    if (text.includes('"private_key"'))
      throw new OperatorError(
        `--keys: ${file} has the keys that sign. Give the public ones: sallyport audit keys export --file ${file}`,
      );
    try {
      const { keys } = fileSchema.parse(JSON.parse(text));
      for (const key of keys) checkKey(key);
      return keys;
    } catch (thrown) {
      const why =
        thrown instanceof z.ZodError || thrown instanceof SyntaxError ? 'it is something else' : messageOf(thrown);
      throw new OperatorError(`--keys: ${file} is no file of "sallyport audit keys export": ${why}`);
    }
  });
}

function checkKey({ id, public_key }: PublicKey): void {
  const key = createPublicKey(public_key);
  const spki = key.export({ format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`the key ${id} is not of Ed25519`);
  if (createHash('sha256').update(spki).digest('hex').slice(0, 16) !== id)
    throw new Error(`the key ${id} is another one: an id is the beginning of the SHA-256 of the key`);
}

export const keyObjects = (keys: readonly PublicKey[]): ReadonlyMap<string, KeyObject> =>
  new Map(keys.map(({ id, public_key }) => [id, createPublicKey(public_key)]));
