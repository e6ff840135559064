// Server nonces for DPoP (RFC 9449 §8). A nonce is sealed, so every replica can check one that another replica
// made without asking the store. It is bound to the store's epoch, so that proofs made before the store lost its
// memory are void: the record of their use is gone, too. It expires, so that proofs cannot be made long in
// advance.
import type { Clock } from '../../core/clock.ts';
import type { Sealer } from '../../keyring/sealing.ts';

/** Makes and checks nonces. Both methods reject when the store does not answer. */
export interface Nonces {
  /** The nonce to hand out now. It stays the same for half of its lifetime. */
  current(): Promise<string>;
  /** Whether this is a nonce of ours, of the present epoch of the store, that has not expired. */
  valid(nonce: string): Promise<boolean>;
}

/** What nonces are made from. */
export interface NoncesOptions {
  sealer: Sealer;
  /** The present epoch of the store. Rejects when the store does not answer. */
  epoch: () => Promise<string>;
  clock: Clock;
  lifetimeMs: number;
}

/** Creates the source of nonces. A nonce lives for `lifetimeMs`. */
export function createNonces({ sealer, epoch, clock, lifetimeMs }: NoncesOptions): Nonces {
  let latest: { nonce: string; epoch: string; at: number } | undefined;
  return {
    async current() {
      const now = clock.now();
      const present = await epoch();
      // The nonce is replaced at half of its lifetime, so that whoever receives it can use it for at least the
      // other half.
      if (latest?.epoch !== present || now - latest.at >= lifetimeMs / 2) {
        const made = Buffer.alloc(8);
        made.writeBigUInt64BE(BigInt(Math.floor(now)));
        latest = { nonce: sealer.seal(made, present), epoch: present, at: now };
      }
      return latest.nonce;
    },
    async valid(nonce) {
      const made = sealer.open(nonce, await epoch());
      if (made?.length !== 8) return false;
      const age = clock.now() - Number(made.readBigUInt64BE());
      // A replica whose clock is ahead makes nonces that come from the future for us, so a negative age is
      // accepted as well.
      return age < lifetimeMs && age > -lifetimeMs;
    },
  };
}
