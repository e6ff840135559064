// Sealing with AES-256-GCM, a random nonce and a full tag. What was sealed for one context, such as an owner,
// session and generation, opens for no other, and a text that was truncated does not open.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../core/secret.ts';

const NONCE = 12;
const TAG = 16;
const CIPHER = 'aes-256-gcm';
/** Node accepts truncated tags unless it is told the length. */
const OPTIONS = { authTagLength: TAG };

/** A sealing key of 32 bytes. Its id stands before each sealed text, and says which key opens it. */
export interface SealingKey {
  id: string;
  secret: Secret<Buffer>;
  /**
   * The key is not in the keyring any more. What it has sealed is void, and opens only to be ended: a session that
   * nobody could open could not be logged out either.
   */
  retired?: true;
}

/** Seals data to a context. The context is authenticated but not kept: to open, it must be given again, equal. */
export interface Sealer {
  /** Answers the id of the key, a dot, and nonce, ciphertext and tag in base64url. Throws when there is no key. */
  seal(plain: Buffer, context: string): string;
  /**
   * Answers undefined for anything that was not sealed with a known key for exactly this context. With `toEnd`, keys
   * that were retired while this process runs open as well.
   */
  open(sealed: string, context: string, toEnd?: 'to end'): Buffer | undefined;
  /**
   * Whether the key of this sealed text is still in the keyring. Without it, what was opened before is void.
   */
  holds(sealed: string): boolean;
  /** Whether the key of this sealed text was retired while this process runs. */
  isRetired(sealed: string): boolean;
  /** How many keys were retired while this process runs. */
  readonly retired: number;
}

/**
 * Answers the keys at present, the one that seals first. It is the same array as long as nothing has changed, by
 * which a change is noticed.
 */
export type KeySource = () => readonly SealingKey[];

/**
 * The first key seals, all of them open. Each purpose has keys of its own, derived by HKDF (RFC 5869), so that
 * what was sealed for one purpose opens for no other.
 */
export function createSealer(keys: KeySource, purpose: string): Sealer {
  let source: readonly SealingKey[] = [];
  let derived = new Map<string, { key: Buffer; retired: boolean }>();
  function current(): typeof derived {
    const now = keys();
    if (now !== source) {
      const derive = (secret: Secret<Buffer>) =>
        Buffer.from(hkdfSync('sha256', secret.reveal(), '', `sallyport ${purpose}`, 32));
      derived = new Map(now.map(({ id, secret, retired = false }) => [id, { key: derive(secret), retired }]));
      source = now;
    }
    return derived;
  }
  return {
    holds: (sealed) => current().get(sealed.slice(0, sealed.indexOf('.')))?.retired === false,
    isRetired: (sealed) => current().get(sealed.slice(0, sealed.indexOf('.')))?.retired === true,
    get retired() {
      return [...current().values()].filter(({ retired }) => retired).length;
    },
    seal(plain, context) {
      const [active] = current();
      if (!active || active[1].retired) throw new Error('a sealer needs at least one key');
      const [activeId, { key: activeKey }] = active;
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv(CIPHER, activeKey, nonce, OPTIONS).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      return `${activeId}.${sealed.toString('base64url')}`;
    },
    open(sealed, context, toEnd) {
      const match = /^([\w-]{1,32})\.([\w-]+)$/.exec(sealed);
      const known = match?.[1] === undefined ? undefined : current().get(match[1]);
      const key = known && (!known.retired || toEnd) ? known.key : undefined;
      if (!key || match?.[2] === undefined) return undefined;
      const bytes = Buffer.from(match[2], 'base64url');
      // Only one spelling of a sealed text opens. Decoders of base64url ignore the spare bits of the last character.
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

/**
 * Answers the keyed fingerprint of a secret: 128 bits in hex. It names the secret in logs and is of no use in its
 * place.
 */
export type Fingerprint = (value: string) => string;

/** Makes fingerprints by HMAC-SHA-256, cut to 128 bits. */
export function createFingerprint(key: Secret<Buffer>): Fingerprint {
  return (value) => createHmac('sha256', key.reveal()).update(value).digest('hex').slice(0, 32);
}
