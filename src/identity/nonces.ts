// Server nonces for DPoP (RFC 9449 §8). Sealed, so that any replica knows a nonce of any other without
// a look-up; bound to the epoch of the store, so that proofs made before a loss of memory are void
// and old after a while, so that proofs made in advance expire.
import type { Clock } from '../core/clock.ts';
import type { Sealer } from '../keyring/sealing.ts';

export interface Nonces {
  /** The nonce to hand out now. The same one for a while. */
  current(): Promise<string>;
  valid(nonce: string): Promise<boolean>;
}

export interface NoncesOptions {
  sealer: Sealer;
  /** Rejects when the store does not answer. */
  epoch: () => Promise<string>;
  clock: Clock;
  lifetimeMs: number;
}

export function createNonces({ sealer, epoch, clock, lifetimeMs }: NoncesOptions): Nonces {
  let latest: { nonce: string; epoch: string; at: number } | undefined;
  return {
    async current() {
      const now = clock.now();
      const present = await epoch();
      // Renewed at half of its life: who gets it can use it for the other half at least.
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
      // A replica whose clock is ahead makes nonces from the future.
      return age < lifetimeMs && age > -lifetimeMs;
    },
  };
}
