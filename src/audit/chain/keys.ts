// The keys that sign checkpoints (Ed25519), in a file of their own. They rotate as the sealing keys do: a new one signs from
// its time on, and one that is retired loses its private half, so that whoever takes the machine later cannot sign for the
// time before.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { Clock } from '../../core/clock.ts';
import { OperatorError } from '../../core/errors.ts';
import { writePrivateFile } from '../../core/files/private-file.ts';
import type { Reloadable } from '../../core/files/reloadable.ts';
import { readSecretText } from '../../core/files/secret-source.ts';
import { watchFile } from '../../core/files/watched-file.ts';

/** The first key of a file has no time before it, whatever the clock of the machine said when it was made. */
export const FIRST = 0;

const keySchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  created_at: z.iso.datetime(),
  /** A new key signs only from this time on. */
  signs_from: z.iso.datetime(),
  retired_at: z.iso.datetime().optional(),
  /** SPKI, DER, in base64. */
  public_key: z.base64().min(1),
  /** PKCS #8, DER, in base64; gone once the key is retired. */
  private_key: z.base64().min(1).optional(),
});

const fileSchema = z.strictObject({
  version: z.literal(1),
  keys: z
    .array(keySchema)
    .min(1)
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, { message: 'an id appears twice' })
    .refine((keys) => keys.some(({ private_key }) => private_key !== undefined), { message: 'no key can sign' }),
});

/** The content of the file. */
export type SigningKeysFile = z.infer<typeof fileSchema>;
export type StoredSigningKey = z.infer<typeof keySchema>;

/** A key that signs. */
export interface SigningKey {
  readonly id: string;
  readonly privateKey: KeyObject;
}

export interface SigningKeys {
  /** The key that signs at this moment. */
  readonly present: SigningKey;
  /** A key that may have signed before this one; undefined where it cannot sign any more. */
  of(id: string): SigningKey | undefined;
  /** Whether the file on disk cannot be used at present, so that the last good one is in force. */
  readonly stale: boolean;
  readonly reloadable: Reloadable;
  close(): void;
}

export interface SigningKeysOptions {
  file: string;
  clock: Clock;
  onProblem: (problem: string) => void;
}

/** Opens the file, and makes it when there is none. Throws an OperatorError when it cannot be used. */
export function openSigningKeys({ file, clock, onProblem }: SigningKeysOptions): SigningKeys {
  if (!existsSync(file)) writeSigningKeys(file, { version: 1, keys: [createSigningKey(clock.now(), FIRST)] });
  const parsed = new Map<string, SigningKey>();
  const watched = watchFile(file, () => readSigningKeys(file), onProblem);
  function use({ id, private_key: der }: StoredSigningKey): SigningKey {
    const known = parsed.get(id) ?? { id, privateKey: privateKeyOf(der as string) };
    parsed.set(id, known);
    return known;
  }
  let next = 0;
  let present = use(signsAt(watched.value, clock.now()));
  let of: SigningKeysFile | undefined;
  return {
    get present() {
      const now = clock.now();
      if (of === watched.value && now < next) return present;
      of = watched.value;
      present = use(signsAt(of, now));
      next = Math.min(...of.keys.map(({ signs_from }) => Date.parse(signs_from)).filter((from) => from > now));
      return present;
    },
    of(id) {
      const stored = watched.value.keys.find((key) => key.id === id);
      return stored?.private_key === undefined ? parsed.get(id) : use(stored);
    },
    get stale() {
      return watched.problem !== undefined;
    },
    reloadable: { part: 'audit.keys_file', check: watched.check },
    close: () => watched.close(),
  };
}

const privateKeyOf = (der: string): KeyObject =>
  createPrivateKey({ key: Buffer.from(der, 'base64'), format: 'der', type: 'pkcs8' });

/** The public key that a file has, in base64 of its DER form. Throws where it is none. */
export const publicKeyOf = (der: string): KeyObject =>
  createPublicKey({ key: Buffer.from(der, 'base64'), format: 'der', type: 'spki' });

/** The key that signs at `now`: of those that can and whose time has come the latest, or else the one whose time comes first. */
export function signsAt({ keys }: SigningKeysFile, now: number): StoredSigningKey {
  const from = ({ signs_from }: StoredSigningKey) => Date.parse(signs_from);
  const able = keys.filter((key) => key.private_key !== undefined).sort((a, b) => from(a) - from(b));
  return able.findLast((key) => from(key) <= now) ?? (able[0] as StoredSigningKey);
}

/** A new key, which signs from `signsFrom` on. Its id is the beginning of the SHA-256 of its public half. */
export function createSigningKey(now: number, signsFrom: number): StoredSigningKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return {
    id: createHash('sha256').update(spki).digest('hex').slice(0, 16),
    created_at: new Date(now).toISOString(),
    signs_from: new Date(signsFrom).toISOString(),
    public_key: spki.toString('base64'),
    private_key: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  };
}

/** Throws an OperatorError when the file is missing, can be read by others, or holds no such keys. */
export function readSigningKeys(file: string): SigningKeysFile {
  const text = readSecretText({ file });
  try {
    const read = fileSchema.parse(JSON.parse(text));
    for (const { id, public_key, private_key } of read.keys) {
      const ofPublic = publicKeyOf(public_key);
      if (ofPublic.asymmetricKeyType !== 'ed25519' || idOf(public_key) !== id) throw new Error('not its id');
      if (private_key !== undefined && !ofPublic.equals(createPublicKey(privateKeyOf(private_key))))
        throw new Error('no pair');
    }
    return read;
  } catch {
    // The cause is left out on purpose: the message of a parser quotes what it could not read, which may be a key.
    throw new OperatorError(
      `${file} is not a file of keys that sign the decision log. Restore it, or move it away: a new key is then made, and what the old ones have signed is still verified with their public halves.`,
    );
  }
}

const idOf = (spki: string): string =>
  createHash('sha256').update(Buffer.from(spki, 'base64')).digest('hex').slice(0, 16);

/** Writes the file in one step, readable by its owner only. */
export function writeSigningKeys(file: string, keys: SigningKeysFile): void {
  writePrivateFile(file, `${JSON.stringify(keys, null, 2)}\n`);
}
