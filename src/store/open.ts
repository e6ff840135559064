// Opens the store that the configuration names: Redis, or the memory of this process.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import type { Config } from '../config/load.ts';
import type { RedisConfig } from '../config/schema/store.ts';
import { resolveSecret } from '../config/secrets.ts';
import type { Clock } from '../core/clock.ts';
import { writePrivateFile } from '../core/files/private-file.ts';
import type { FreezeRow } from '../freeze/freeze.ts';
import { keepFreezes, readKeptFreezes } from './kept-freezes.ts';
import { keepRevocations } from './kept-revocations.ts';
import { heapNeeded, OWN_HEAP } from './memory/needs.ts';
import { createMemoryStore } from './memory/store.ts';
import type { Store } from './store.ts';

const HOUR_MS = 3_600_000;

/** A store in memory that keeps nothing beyond this process, in no file either. */
export const memoryStore = createMemoryStore;

/** What a store needs. Without `redis` it is in memory. */
export interface OpenStoreOptions {
  config: Config;
  clock: Clock;
  env: NodeJS.ProcessEnv;
  /**
   * Called when Redis has another epoch than the one that was remembered, also at the start. `lost`: another came
   * before it.
   */
  onEpoch: (epoch: string, lost: boolean) => void;
  /** Called once when Redis may drop keys to make room. */
  onEviction: () => void;
  /** Names the keyring of this process, which all replicas must share. */
  keyring: string;
  /** Called when the other replicas have another keyring (true), and when that is over. */
  onOtherKeyring: (other: boolean) => void;
  /** Called when the store knows less than it did although its servers are the same. */
  onWentBack: () => void;
  /** Called when the revocations come near the most that are kept. */
  onManyRevocations: (count: number) => void;
  /** Called when the clock of this machine differs too much from that of the store (false), and when it agrees again. */
  onSkew: (agrees: boolean, skewMs: number) => void;
  /** Called when a file in the state folder cannot be used. */
  onProblem: (problem: string) => void;
  /** Called when `limits.clients` may need more heap than the process has; both in mebibytes. */
  onLimits?: (needed: number, heap: number) => void;
  /** Told how long each question to Redis took. */
  onTrip?: (seconds: number) => void;
  /** What time it is for Redis, in milliseconds since 1970: left out except in tests that move the clock. */
  storeTime?: () => number;
}

/** The store, with what its revocations are measured by. */
export interface OpenedStore extends Store {
  /** How many revocations are in force. */
  readonly revocations: number;
  /** The freezes that are in force, as this process read them last. */
  frozen(): FreezeRow[];
}

/** Rejects with an OperatorError when Redis cannot be used. */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { config, onWentBack, onManyRevocations, onProblem } = options;
  const at = (name: string) => join(config.state_dir, name);
  const known = readKeptFreezes(at('freezes.json'));
  const store = await openBare(options);
  const kept = keepRevocations({
    ...{ control: store.control, path: at('revocations.json') },
    ...{ onWentBack, onManyRevocations, onProblem },
  });
  const control = keepFreezes({ control: kept, path: at('freezes.json'), known, onWentBack, onProblem });
  // What a restart or a flush has taken from the store is given back before the first call. A store that refuses this
  // replica gets it later.
  await control.read(0).catch(() => undefined);
  return {
    ...store,
    control,
    get skewMs() {
      return store.skewMs;
    },
    get clockAgrees() {
      return store.clockAgrees;
    },
    get problem() {
      return store.problem;
    },
    get revocations() {
      return kept.count;
    },
    frozen: control.inForce,
    async close() {
      control.stop();
      await store.close();
    },
  };
}

async function openBare(options: OpenStoreOptions): Promise<Store> {
  const { config, clock, env, onEpoch, onEviction } = options;
  const { redis } = config.store;
  const { clients, handle_seconds } = config.limits;
  // How long a client is remembered after its last call. Usage is counted over an hour, and a handle must be
  // remembered as long as it lives.
  const ttlMs = Math.max(2 * HOUR_MS, handle_seconds * 1000);
  const backends = Math.max(1, Object.keys(config.backends).length);
  if (!redis) {
    const needed = heapNeeded(clients, backends) + OWN_HEAP;
    const heap = getHeapStatistics().heap_size_limit;
    if (needed > heap) options.onLimits?.(toMebibytes(needed), toMebibytes(heap));
    return createMemoryStore({ clock, clients, sessions: clients * backends, ttlMs });
  }
  const secret = (ref: RedisConfig['username'], name: string) => ref && resolveSecret(ref, `store.redis.${name}`, env);
  // The epoch is kept in a file, so that a loss while no replica was running is noticed as well.
  const epochFile = join(config.state_dir, 'store-epoch');
  // The client of Redis takes nine megabytes, which a store in memory has no use for.
  const { createRedisStore } = await import('./redis/store.ts');
  return createRedisStore({
    url: redis.url,
    sentinel: redis.sentinel,
    cluster: redis.cluster,
    username: secret(redis.username, 'username'),
    password: secret(redis.password, 'password'),
    caFile: redis.ca_file,
    prefix: redis.prefix,
    timeoutMs: redis.timeout_ms,
    onTrip: options.onTrip,
    clock,
    time: () => String(options.storeTime?.() ?? ''),
    ttlMs,
    keyring: options.keyring,
    maxSkewMs: redis.max_skew_seconds * 1000,
    onSkew: options.onSkew,
    onOtherKeyring: options.onOtherKeyring,
    onWentBack: options.onWentBack,
    remembered: existsSync(epochFile) ? readFileSync(epochFile, 'utf8').trim() : undefined,
    onEpoch(epoch, lost) {
      onEpoch(epoch, lost);
      writePrivateFile(epochFile, `${epoch}\n`);
    },
    onEviction,
  });
}

const toMebibytes = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);
