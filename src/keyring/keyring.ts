// The connector's own keys, in one file that only its owner can read and that all replicas share. Sealing and
// fingerprints have separate keys, so that the key behind the fingerprints in logs opens no record. The file is read
// again when it changes, so that keys rotate without a restart.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { OperatorError } from '../core/errors.ts';
import { writePrivateFile } from '../core/files/private-file.ts';
import type { Reloadable } from '../core/files/reloadable.ts';
import { readSecretText, type SecretSource, sourceName } from '../core/files/secret-source.ts';
import { watchSource } from '../core/files/watched-file.ts';
import { Secret } from '../core/secret.ts';
import { createFingerprint, createSealer, type Fingerprint, type Sealer, type SealingKey } from './sealing.ts';

const key = z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, { message: 'not 32 bytes' });

const keySchema = z.strictObject({
  id: z.string().regex(/^[\w-]{1,32}$/),
  created_at: z.iso.datetime(),
  /** A new key opens at once but seals only from this time on, because every replica must know it first. */
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

/** The content of the file. Keys are 32 bytes in base64. */
export type KeyringFile = z.infer<typeof fileSchema>;
type StoredKey = z.infer<typeof keySchema>;

/** The keys that are in force. */
export interface Keyring {
  /** The key that seals at present comes first. The others only open, and those that were retired only to end. */
  sealing(): readonly SealingKey[];
  /** Seals for one purpose with the keys of the moment; what is sealed for one opens for no other. */
  sealer(purpose: string): Sealer;
  /** Names the keyring itself, by which replicas on one store tell that they have the same. */
  readonly name: string;
  /** Names a secret in logs. Its key stays the same while the process runs. */
  readonly fingerprint: Fingerprint;
  /** Whether the file on disk cannot be used at present, so that the last good one is in force. /readyz shows it. */
  readonly stale: boolean;
  /** Names the sealing keys that there are, in no order: replicas with the same keys have the same revision. */
  readonly revision: string;
  readonly reloadable: Reloadable;
  /** Stops watching the file. */
  close(): void;
}

/** Where the keyring is. `clock` says which key seals. */
export interface KeyringOptions {
  source: SecretSource;
  env?: NodeJS.ProcessEnv;
  clock: Clock;
  /**
   * Other replicas use the same store. Then a missing file is a mistake: a replica that made a keyring of its own could
   * open no session of the others, and both would log in anew with every call.
   */
  shared?: boolean;
  /**
   * Called when the file has changed and cannot be used, or when a changed fingerprint key has to wait for the next
   * start.
   */
  onProblem?: (message: string) => void;
}

/**
 * Opens the keyring, and makes the file when there is none, unless it is shared. Throws an OperatorError when the file
 * cannot be used.
 */
export function openKeyring({ source, env, clock, shared = false, onProblem = () => {} }: KeyringOptions): Keyring {
  if ('file' in source && !existsSync(source.file)) {
    if (shared) throw missingKeyring(source.file);
    writeKeyring(source.file, createKeyringFile(new Date(clock.now())));
  }
  const first = readKeyring(source, env);
  /** Keys that were taken out while this process runs: what they have sealed can still be ended. */
  const retired = new Map<string, SealingKey>();
  let before: readonly SealingKey[] = [];
  const file = watchSource(
    source,
    () => {
      const keyring = readKeyring(source, env);
      // Fingerprints of the same thing must stay equal while the process runs.
      if (keyring.fingerprint !== first.fingerprint)
        onProblem(`${sourceName(source)}: a changed fingerprint key takes effect at the next start`);
      const present = new Set(keyring.sealing.map(({ id }) => id));
      for (const { id, secret } of before) if (!present.has(id)) retired.set(id, { id, secret, retired: true });
      for (const id of present) retired.delete(id);
      before = secretsOf(keyring);
      return { keyring, secrets: [...before, ...retired.values()] };
    },
    onProblem,
  );
  function sealing(): readonly SealingKey[] {
    const { value } = file;
    const active = sealsAt(value.keyring, clock.now()).id;
    if (value.secrets[0]?.id !== active)
      value.secrets = [...value.secrets].sort((a, b) => Number(b.id === active) - Number(a.id === active));
    return value.secrets;
  }
  const fingerprint = createFingerprint(new Secret(Buffer.from(first.fingerprint, 'base64')));
  return {
    sealing,
    name: fingerprint('the keyring itself'),
    sealer: (purpose) => createSealer(sealing, purpose),
    fingerprint,
    get stale() {
      return file.problem !== undefined;
    },
    get revision() {
      const ids = file.value.keyring.sealing.map(({ id }) => id).sort();
      return fingerprint(`sealing keys ${ids.join(' ')}`);
    },
    reloadable: { part: 'keyring', check: file.check },
    close: () => file.close(),
  };
}

/** The error for a shared store and no keyring, with the mend. */
export function missingKeyring(path: string): OperatorError {
  return new OperatorError(
    `${path} does not exist, and all replicas on one store need the same keyring: copy it here, or make the first one with "sallyport keys init --file ${path}"`,
  );
}

/** A new keyring: one sealing key, which seals at once, and one fingerprint key. */
export function createKeyringFile(now: Date): KeyringFile {
  return { version: 1, sealing: [createKey(now, now)], fingerprint: randomBytes(32).toString('base64') };
}

/** A new sealing key of random bytes. It opens at once and seals from `sealsFrom` on. */
export function createKey(now: Date, sealsFrom: Date): StoredKey {
  return {
    id: randomBytes(4).toString('hex'),
    created_at: now.toISOString(),
    seals_from: sealsFrom.toISOString(),
    key: randomBytes(32).toString('base64'),
  };
}

/** The key that seals at `now`: of those whose time has come the latest, or else the one whose time comes first. */
export function sealsAt({ sealing }: KeyringFile, now: number): StoredKey {
  const from = (stored: StoredKey) => Date.parse(stored.seals_from);
  const byTime = [...sealing].sort((a, b) => from(a) - from(b));
  return byTime.findLast((stored) => from(stored) <= now) ?? (byTime[0] as StoredKey);
}

/**
 * Reads and checks the file. Throws an OperatorError when it is missing, can be read by others, or is not a
 * keyring.
 */
export function readKeyring(source: string | SecretSource, env?: NodeJS.ProcessEnv): KeyringFile {
  const text = readSecretText(source, env);
  try {
    return fileSchema.parse(JSON.parse(text));
  } catch {
    // The cause is left out on purpose: the message of a parser quotes what it could not read, which may be a key.
    throw new OperatorError(
      `${sourceName(source)} is not a keyring. Restore it, or remove it: sessions and handles then start afresh.`,
    );
  }
}

/** Writes the file in one step, readable by its owner only. */
export function writeKeyring(path: string, keyring: KeyringFile): void {
  writePrivateFile(path, `${JSON.stringify(keyring, null, 2)}\n`);
}

function secretsOf({ sealing }: KeyringFile): SealingKey[] {
  return sealing.map(({ id, key: text }) => ({ id, secret: new Secret(Buffer.from(text, 'base64')) }));
}
