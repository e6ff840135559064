// DPoP proofs all replicas have seen. SET NX is the claim: of two copies one is first.
import { randomUUID } from 'node:crypto';
import type { ProofLedger, ProofUse } from '../../identity/dpop.ts';
import { type RedisConnection, script } from './connection.ts';
import type { Keys } from './keys.ts';

const CLAIM_PROOF = script(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
local first = redis.call('GET', KEYS[1])
-- The same claim again: its first answer was lost on the way, and the client library has repeated it.
if first == ARGV[1] then return false end
return first
`);

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
