// The store that any number of replicas share, in Redis or Valkey.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { messageOf, OperatorError } from '../../core/errors.ts';
import type { Control, ControlPort } from '../../session/control.ts';
import type { SessionStore } from '../../session/store.ts';
import type { Store } from '../store.ts';
import { createRedisAlerts } from './alerts.ts';
import { createRedisConnection, type RedisConnection, type RedisOptions, StoreTimeoutError } from './connection.ts';
import { createRedisControl, type RedisControlOptions } from './control/control.ts';
import { createDescribed } from './described.ts';
import { createRedisFacts } from './facts/facts.ts';
import { createKeys } from './keys.ts';
import { createRedisLimits } from './limits.ts';
import { createRedisProofs } from './proofs.ts';
import { createRedisQuotas } from './quotas.ts';
import { createRedisSessions } from './sessions/sessions.ts';

/** The connection, and how the store uses it. Every key begins with `prefix`. */
export interface RedisStoreOptions
  extends RedisOptions,
    Pick<
      RedisControlOptions,
      'keyring' | 'remembered' | 'onEpoch' | 'onEviction' | 'onOtherKeyring' | 'onWentBack' | 'time'
    > {
  clock: Clock;
  /** Most that the clock of this machine may differ from that of the store, in milliseconds. */
  maxSkewMs: number;
  /** Called when the clock begins to differ by more than that (false), and when it agrees again. */
  onSkew: (agrees: boolean, skewMs: number) => void;
  prefix: string;
  /** How long a client is remembered after its last call, in milliseconds. */
  ttlMs: number;
}

/** How old the reading may be that shows that the store answers. */
const READY_AGE_MS = 1000;
/** How often the lease of this replica is renewed although no call asks the store. */
const HEARTBEAT_MS = 2000;
/** A difference between the clocks up to this, in milliseconds, is that of the way to the store and back. */
const NO_SKEW_MS = 250;

/** Connects, and reads the epoch once. Rejects with an OperatorError when the store cannot be used at start. */
export async function createRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { clock, prefix, ttlMs } = options;
  const connection = createRedisConnection(options);
  const keys = createKeys(prefix);
  const replica = randomUUID();
  let skewMs = 0;
  let agrees = true;
  let problem: string | undefined;
  let otherKeyring = false;
  const asked = createRedisControl({
    ...options,
    connection,
    keys,
    replica,
    onOtherKeyring(other) {
      otherKeyring = other;
      options.onOtherKeyring(other);
    },
  });
  const control: ControlPort = {
    ...asked,
    async read(maxAgeMs) {
      let state: Control;
      try {
        state = await asked.read(maxAgeMs);
        problem = undefined;
      } catch (thrown) {
        problem = messageOf(thrown);
        throw thrown;
      }
      skewMs = state.skewMs;
      if (agrees !== Math.abs(skewMs) <= options.maxSkewMs) {
        agrees = !agrees;
        options.onSkew(agrees, skewMs);
      }
      return state;
    },
  };
  // Whole milliseconds, as everything that is stored has them.
  const shared: Clock = { now: () => Math.floor(clock.now() + (Math.abs(skewMs) > NO_SKEW_MS ? skewMs : 0)) };
  // A replica with another keyring starts and is not ready, so that it can be told why; see onOtherKeyring.
  await firstReading(connection, control, () => otherKeyring);
  const { time } = options;
  const facts = createRedisFacts({
    connection,
    keys,
    control,
    replica,
    time,
    ttlMs,
    onWentBack: options.onWentBack,
  });
  const described = createDescribed(connection, keys, replica);
  const drained: SessionStore['drained'] = (owner, limitMs) => facts.drained(owner, limitMs);
  const sessions = createRedisSessions({ connection, keys, clock: shared, drained });
  const heartbeat = setInterval(() => {
    void control.read(READY_AGE_MS).catch(() => {});
    facts.tell();
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    clock: shared,
    get skewMs() {
      return skewMs;
    },
    get clockAgrees() {
      return agrees;
    },
    get problem() {
      return problem;
    },
    facts,
    sessions,
    limits: createRedisLimits({ connection, keys, clock: shared, sessions }),
    quotas: createRedisQuotas(connection, keys, shared),
    proofs: createRedisProofs(connection, keys),
    control,
    alerts: createRedisAlerts(connection, keys),
    // Read anew: a replica that has just started would be taken for one that is gone.
    replicas: async (self) => described.tell(self, await control.read(0)),
    ready: () =>
      control.read(READY_AGE_MS).then(
        () => true,
        () => false,
      ),
    async close() {
      clearInterval(heartbeat);
      facts.tell(true);
      await asked.leave().catch(() => undefined);
      await connection.close();
    },
  };
}

/** Connects and reads once. Throws an OperatorError and closes the connection when the store cannot be used. */
async function firstReading(connection: RedisConnection, control: ControlPort, forgive: () => boolean): Promise<void> {
  try {
    await connection.connect();
    await control.read(0);
  } catch (thrown) {
    if (forgive()) return;
    await connection.close();
    throw new OperatorError(
      thrown instanceof StoreTimeoutError
        ? `the store cannot be used: ${thrown.message}; check store.redis`
        : `the store cannot be used: ${messageOf(thrown)}`,
    );
  }
}
