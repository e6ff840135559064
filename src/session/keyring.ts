// The connector's own keys, in one file of the state folder that only its owner can read. Made on
// first start. Sealing and fingerprints have separate keys: who may read logs may not open records.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { refuseReadableByOthers, writePrivateFile } from '../core/private-file.ts';
import { Secret } from '../core/secret.ts';
import type { SealingKey } from './sealing.ts';

const key = z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, { message: 'not 32 bytes' });

const keyringSchema = z.strictObject({
  version: z.literal(1),
  sealing: z.array(z.strictObject({ id: z.string().regex(/^[\w-]{1,32}$/), created_at: z.iso.datetime(), key })).min(1),
  fingerprint: key,
});

export interface Keyring {
  sealing: SealingKey[];
  fingerprint: Secret<Buffer>;
}

export function loadKeyring(path: string, now: Date): Keyring {
  if (!existsSync(path)) {
    const fresh = () => randomBytes(32).toString('base64');
    const sealing = [{ id: randomBytes(4).toString('hex'), created_at: now.toISOString(), key: fresh() }];
    writePrivateFile(path, `${JSON.stringify({ version: 1, sealing, fingerprint: fresh() }, null, 2)}\n`);
  }
  refuseReadableByOthers(path);
  let parsed: z.infer<typeof keyringSchema>;
  try {
    parsed = keyringSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    // The cause is left out on purpose: a parser quotes what it could not read.
    throw new OperatorError(
      `${path} is not a keyring. Restore it, or remove it: sessions and handles then start afresh.`,
    );
  }
  const secret = (text: string) => new Secret(Buffer.from(text, 'base64'));
  return {
    sealing: parsed.sealing.map(({ id, key }) => ({ id, secret: secret(key) })),
    fingerprint: secret(parsed.fingerprint),
  };
}
