// AES-256-GCM with a random nonce and a full tag. What is sealed for one owner, session and
// generation opens for no other: a swapped, truncated or rolled-back record is refused.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../core/secret.ts';

const NONCE = 12;
const TAG = 16;
const CIPHER = 'aes-256-gcm';
/** Node accepts truncated tags unless it is told the length. */
const OPTIONS = { authTagLength: TAG };

export interface SealingKey {
  id: string;
  secret: Secret<Buffer>;
}

export interface Sealer {
  seal(plain: Buffer, context: string): string;
  /** Undefined for anything that was not sealed with a known key for exactly this context. */
  open(sealed: string, context: string): Buffer | undefined;
  /** Whether the key it was sealed with is still in the ring: what was opened before is void without it. */
  holds(sealed: string): boolean;
}

/** The keys at present, the one that seals first. The same array as long as nothing has changed. */
export type KeySource = () => readonly SealingKey[];

/** The first key seals, all of them open. Each purpose has keys of its own, derived by HKDF. */
export function createSealer(keys: KeySource, purpose: string): Sealer {
  let source: readonly SealingKey[] = [];
  let derived = new Map<string, Buffer>();
  function current(): Map<string, Buffer> {
    const now = keys();
    if (now !== source) {
      const derive = (secret: Secret<Buffer>) =>
        Buffer.from(hkdfSync('sha256', secret.reveal(), '', `sallyport ${purpose}`, 32));
      derived = new Map(now.map(({ id, secret }) => [id, derive(secret)]));
      source = now;
    }
    return derived;
  }
  return {
    holds: (sealed) => current().has(sealed.slice(0, sealed.indexOf('.'))),
    seal(plain, context) {
      const [active] = current();
      if (!active) throw new Error('a sealer needs at least one key');
      const [activeId, activeKey] = active;
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv(CIPHER, activeKey, nonce, OPTIONS).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      return `${activeId}.${sealed.toString('base64url')}`;
    },
    open(sealed, context) {
      const match = /^([\w-]{1,32})\.([\w-]+)$/.exec(sealed);
      const key = match?.[1] === undefined ? undefined : current().get(match[1]);
      if (!key || match?.[2] === undefined) return undefined;
      const bytes = Buffer.from(match[2], 'base64url');
      // One spelling only: base64url decoders ignore the spare bits of the last character.
      if (bytes.length < NONCE + TAG || bytes.toString('base64url') !== match[2]) return undefined;
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE), OPTIONS).setAAD(Buffer.from(context));
      decipher.setAuthTag(bytes.subarray(-TAG));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()]);
      } catch {
        return undefined;
      }
    },
  };
}

/** Keyed fingerprint: names a secret in logs and is useless as one. 128 bits, hex. */
export type Fingerprint = (value: string) => string;

export function createFingerprint(key: Secret<Buffer>): Fingerprint {
  return (value) => createHmac('sha256', key.reveal()).update(value).digest('hex').slice(0, 32);
}
