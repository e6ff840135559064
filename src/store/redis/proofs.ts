// DPoP proofs all replicas have seen. SET NX is the claim: of two copies one is first.
import type { ProofLedger, ProofUse } from '../../identity/dpop.ts';
import { type RedisConnection, script } from './connection.ts';
import type { Keys } from './keys.ts';

const CLAIM_PROOF = script(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return redis.call('GET', KEYS[1])
`);

export function createRedisProofs(connection: RedisConnection, keys: Keys): ProofLedger {
  return {
    async claim(proof, use, ttlMs) {
      const first = (await connection.run(CLAIM_PROOF, [keys.proof(proof)], [JSON.stringify(use), ttlMs])) as
        | string
        | null;
      return first === null ? undefined : (JSON.parse(first) as ProofUse);
    },
  };
}
