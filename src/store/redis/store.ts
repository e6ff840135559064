// The store that any number of replicas share, in Redis or Valkey.
import type { Clock } from '../../core/clock.ts';
import { messageOf, OperatorError } from '../../core/errors.ts';
import type { SessionStore } from '../../session/store.ts';
import type { Store } from '../store.ts';
import { createRedisConnection, type RedisOptions } from './connection.ts';
import { createRedisControl, type RedisControlOptions } from './control.ts';
import { createRedisFacts } from './facts.ts';
import { createKeys } from './keys.ts';
import { createRedisLimits } from './limits.ts';
import { createRedisProofs } from './proofs.ts';
import { createRedisSessions } from './sessions.ts';

/** The connection, and how the store uses it. Every key begins with `prefix`. */
export interface RedisStoreOptions
  extends RedisOptions,
    Pick<RedisControlOptions, 'remembered' | 'onEpoch' | 'onEviction'> {
  clock: Clock;
  prefix: string;
  /** How long a client is remembered after its last call, in milliseconds. */
  ttlMs: number;
}

/** How old the reading may be that shows that the store answers. */
const READY_AGE_MS = 1000;

/** Connects, and reads the epoch once. Rejects with an OperatorError when the store cannot be used at start. */
export async function createRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { clock, prefix, ttlMs } = options;
  const connection = createRedisConnection(options);
  const keys = createKeys(prefix);
  const control = createRedisControl({ ...options, connection, key: keys.control });
  try {
    await connection.connect();
    await control.read(0);
  } catch (thrown) {
    await connection.close();
    throw new OperatorError(`the store does not answer: ${messageOf(thrown)}; check store.redis`);
  }
  const facts = createRedisFacts({ connection, keys, control, clock, ttlMs });
  const drained: SessionStore['drained'] = (owner, limitMs) => facts.drained(owner, limitMs);
  const sessions = createRedisSessions({ connection, keys, clock, drained });
  return {
    facts,
    sessions,
    limits: createRedisLimits({ connection, keys, clock, sessions }),
    proofs: createRedisProofs(connection, keys),
    control,
    ready: () =>
      control.read(READY_AGE_MS).then(
        () => true,
        () => false,
      ),
    close: () => connection.close(),
  };
}
