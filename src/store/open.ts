// Opens the store the configuration names.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RedisConfig } from '../config/schema/store.ts';
import { resolveSecret } from '../config/secrets.ts';
import type { Clock } from '../core/clock.ts';
import { writePrivateFile } from '../core/private-file.ts';
import { createMemoryStore } from './memory/store.ts';
import { createRedisStore } from './redis/store.ts';
import type { Store } from './store.ts';

export interface OpenStoreOptions {
  redis: RedisConfig | undefined;
  /** Most clients a store in memory holds, and how many backends each may have a session with. */
  clients: number;
  backends: number;
  /** How long a client is remembered after its last call. */
  ttlMs: number;
  stateDir: string;
  clock: Clock;
  env: NodeJS.ProcessEnv;
  /** Told of the epoch at the start and of each new one. `lost`: there was another before. */
  onEpoch: (epoch: string, lost: boolean) => void;
  onEviction: () => void;
}

export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { redis, clients, backends, ttlMs, stateDir, clock, env, onEpoch, onEviction } = options;
  if (!redis) return createMemoryStore({ clock, clients, sessions: clients * Math.max(1, backends), ttlMs });
  const secret = (ref: RedisConfig['username'], name: string) => ref && resolveSecret(ref, `store.redis.${name}`, env);
  // So that a loss while no replica was running shows as well.
  const epochFile = join(stateDir, 'store-epoch');
  return createRedisStore({
    url: redis.url,
    sentinel: redis.sentinel,
    cluster: redis.cluster,
    username: secret(redis.username, 'username'),
    password: secret(redis.password, 'password'),
    caFile: redis.ca_file,
    prefix: redis.prefix,
    timeoutMs: redis.timeout_ms,
    clock,
    ttlMs,
    remembered: existsSync(epochFile) ? readFileSync(epochFile, 'utf8').trim() : undefined,
    onEpoch(epoch, lost) {
      onEpoch(epoch, lost);
      writePrivateFile(epochFile, `${epoch}\n`);
    },
    onEviction,
  });
}
