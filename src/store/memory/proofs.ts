// The DPoP proofs that were used in this process. When it is full of live ones it takes no more: a proof that was
// forgotten could be replayed.
import type { Clock } from '../../core/clock.ts';
import { createKeyedMutex } from '../../core/mutex.ts';
import type { ProofLedger, ProofUse } from '../../identity/access-tokens/dpop.ts';
import { createMemoryKeyv } from './keyv.ts';

/** Most proofs at the same time. */
const PROOFS = 500_000;

/** The proofs that were used in a single process. It rejects a new proof when it is full. */
export function createMemoryProofs(clock: Clock): ProofLedger {
  const { keyv: uses } = createMemoryKeyv<{ use: ProofUse; until: number }>('proofs', PROOFS);
  const mutex = createKeyedMutex();
  return {
    use: (proof, use, ttlMs) =>
      mutex.run(proof, async () => {
        const first = await uses.get(proof);
        if (first && first.until > clock.now()) return first.use;
        await uses.set(proof, { use, until: clock.now() + ttlMs }, ttlMs);
        return undefined;
      }),
  };
}
