// The connector's own keys, in one file that only its owner can read, shared by all replicas. Sealing
// and fingerprints have separate keys: who may read logs may not open records. Read again when it
// changes, so that keys rotate without a restart.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { OperatorError } from '../core/errors.ts';
import { refuseReadableByOthers, writePrivateFile } from '../core/private-file.ts';
import { Secret } from '../core/secret.ts';
import { watchFile } from '../core/watched-file.ts';
import type { SealingKey } from './sealing.ts';

const key = z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, { message: 'not 32 bytes' });

const keySchema = z.strictObject({
  id: z.string().regex(/^[\w-]{1,32}$/),
  created_at: z.iso.datetime(),
  /** A new key opens at once and seals only from then on: first every replica must know it. */
  seals_from: z.iso.datetime(),
  key,
});

const fileSchema = z.strictObject({
  version: z.literal(1),
  sealing: z
    .array(keySchema)
    .min(1)
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, { message: 'an id appears twice' }),
  fingerprint: key,
});

export type KeyringFile = z.infer<typeof fileSchema>;
type StoredKey = z.infer<typeof keySchema>;

export interface Keyring {
  /** The key that seals at present first, then the others, which only open. */
  sealing(): readonly SealingKey[];
  readonly fingerprint: Secret<Buffer>;
  /** The file on disk cannot be used at present; the last good one is in force. For /readyz. */
  readonly stale: boolean;
  close(): void;
}

export interface KeyringOptions {
  path: string;
  clock: Clock;
  /** Told when the file changed and cannot be used. */
  onProblem?: (message: string) => void;
}

/** Makes the file when there is none. Throws an OperatorError when it cannot be used. */
export function openKeyring({ path, clock, onProblem = () => {} }: KeyringOptions): Keyring {
  if (!existsSync(path)) writeKeyring(path, createKeyringFile(new Date(clock.now())));
  const first = readKeyring(path);
  const file = watchFile(
    path,
    () => {
      const keyring = readKeyring(path);
      // Fingerprints of the same thing must stay equal while the process runs.
      if (keyring.fingerprint !== first.fingerprint)
        onProblem(`${path}: a changed fingerprint key takes effect at the next start`);
      return { keyring, secrets: secretsOf(keyring) };
    },
    onProblem,
  );
  return {
    sealing() {
      const { value } = file;
      const active = sealsAt(value.keyring, clock.now()).id;
      if (value.secrets[0]?.id !== active)
        value.secrets = [...value.secrets].sort((a, b) => Number(b.id === active) - Number(a.id === active));
      return value.secrets;
    },
    fingerprint: new Secret(Buffer.from(first.fingerprint, 'base64')),
    get stale() {
      return file.stale;
    },
    close: () => file.close(),
  };
}

export function createKeyringFile(now: Date): KeyringFile {
  return { version: 1, sealing: [createKey(now, now)], fingerprint: randomBytes(32).toString('base64') };
}

export function createKey(now: Date, sealsFrom: Date): StoredKey {
  return {
    id: randomBytes(4).toString('hex'),
    created_at: now.toISOString(),
    seals_from: sealsFrom.toISOString(),
    key: randomBytes(32).toString('base64'),
  };
}

/** The key that seals: of those whose time has come the latest, else the first to come. */
export function sealsAt({ sealing }: KeyringFile, now: number): StoredKey {
  const from = (stored: StoredKey) => Date.parse(stored.seals_from);
  const byTime = [...sealing].sort((a, b) => from(a) - from(b));
  return byTime.findLast((stored) => from(stored) <= now) ?? (byTime[0] as StoredKey);
}

export function readKeyring(path: string): KeyringFile {
  refuseReadableByOthers(path);
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    // The cause is left out on purpose: a parser quotes what it could not read.
    throw new OperatorError(
      `${path} is not a keyring. Restore it, or remove it: sessions and handles then start afresh.`,
    );
  }
}

export function writeKeyring(path: string, keyring: KeyringFile): void {
  writePrivateFile(path, `${JSON.stringify(keyring, null, 2)}\n`);
}

function secretsOf({ sealing }: KeyringFile): SealingKey[] {
  return sealing.map(({ id, key: text }) => ({ id, secret: new Secret(Buffer.from(text, 'base64')) }));
}
