// The DPoP proofs that were used, at whichever replica. SET NX decides which use is the first: of two copies at the
// same time only one is new.
import { randomUUID } from 'node:crypto';
import type { ProofLedger, ProofUse } from '../../identity/access-tokens/dpop.ts';
import { type RedisConnection, script } from './connection.ts';
import type { Keys } from './keys.ts';

const CLAIM_PROOF = script(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
local first = redis.call('GET', KEYS[1])
-- The same use has come again: its first answer was lost on the way, and the client library has repeated it.
if first == ARGV[1] then return false end
return first
`);

/** The proofs that were used, shared by all replicas. */
export function createRedisProofs(connection: RedisConnection, keys: Keys): ProofLedger {
  return {
    async use(proof, use, ttlMs) {
      const first = (await connection.run(
        CLAIM_PROOF,
        [keys.proof(proof)],
        [JSON.stringify({ ...use, claim: randomUUID() }), ttlMs],
      )) as string | null;
      return first === null ? undefined : (JSON.parse(first) as ProofUse);
    },
  };
}
