// The epoch, the revocations, the clock and the leases of the replicas, shared by all replicas. They are read again
// whenever the last reading is too old, and after every change of the connection.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../core/clock.ts';
import {
  type FreezeRow,
  type Freezes,
  freezeText,
  outdated,
  readFreeze,
  refuseTooMany,
} from '../../../freeze/freeze.ts';
import {
  type Control,
  type ControlPort,
  MOST_REVOCATIONS,
  REVOCATION_LIFE_MS,
  selectorText,
} from '../../../session/control.ts';
import type { RedisConnection } from '../connection.ts';
import type { Keys } from '../keys.ts';
import { FREEZE, LEASE_MS, LEAVE, LOSE, READ, RESTORE, RESTORE_FREEZES, REVOKE } from './control.lua.ts';

/** What the control state works with. */
export interface RedisControlOptions {
  connection: RedisConnection;
  keys: Pick<Keys, 'control' | 'state' | 'leases' | 'replicas'>;
  /** Names this process among the replicas. */
  replica: string;
  /**
   * Names the keyring of this process. Replicas with different keyrings could open no session of each other, so each
   * would log in anew with every call.
   */
  keyring: string;
  /** The epoch that this replica knew before it started, so that a loss while it was down is noticed. */
  remembered: string | undefined;
  /** Called with each epoch that is not the one known before. `lost`: another epoch came before it. */
  onEpoch: (epoch: string, lost: boolean) => void;
  /**
   * Called once when the store may drop keys to make room. Reads reject as long as that is so: what was dropped would
   * be forgotten.
   */
  onEviction: () => void;
  /**
   * Called when other replicas that were there first have another keyring (true), and when that is over. Until then
   * reads reject, so that this replica ends and opens nothing.
   */
  onOtherKeyring: (other: boolean) => void;
  /** Called when the store has gone back although its servers are the same. */
  onWentBack: () => void;
  clock: Clock;
  /** What time it is for the scripts: '' for that of the store, which is the rule; tests say it, in milliseconds. */
  time: () => string;
}

/** A replica that stops gives its lease back, so that nobody waits for it. */
interface Leaving {
  leave(): Promise<void>;
}

/** How long the answer to INFO holds. It is asked anew after every change of the connection and for a fresh reading. */
const INFO_AGE_MS = 1000;
/** Epochs that came before, by which a store that returns to one of them is noticed. */
const PAST_EPOCHS = 100;

/**
 * The control state in Redis. A reading is kept, and shared by all calls of this process for which it is new enough.
 */
export function createRedisControl(options: RedisControlOptions): ControlPort & Leaving {
  const { connection, keys, replica, keyring, remembered, clock, time } = options;
  const { onEpoch, onEviction, onOtherKeyring, onWentBack } = options;
  let state: Control | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  /**
   * Readings from before this time (performance.now) are void, because the connection changed or a revocation was
   * added here.
   */
  let voidBefore = 0;
  let reading: Promise<Control> | undefined;
  let known = remembered;
  const past = new Set<string>();
  let other = false;
  let leaving = false;
  const servers = createServers(connection, onEviction);
  const invalidate = () => {
    voidBefore = performance.now();
    servers.forget();
  };
  connection.onChange(invalidate);

  const at = [keys.control, keys.state, keys.leases, keys.replicas];

  async function lose(epoch: string): Promise<void> {
    onWentBack();
    await connection.run(LOSE, at, [time(), epoch, randomUUID()]);
  }

  async function fetch(fresh: boolean, again = true): Promise<Control> {
    const ids = await servers.runIds(fresh);
    const began = performance.now();
    const before = clock.now();
    const answer = (await connection.run(READ, at, [
      time(),
      randomUUID(),
      known ?? '',
      ids,
      replica,
      keyring,
    ])) as ReadAnswer;
    const next = parse(answer, (before + clock.now()) / 2);
    const [, , hadLease] = answer;
    // This replica renewed its lease a moment ago, and the store knows nothing of it: it was emptied or put back, with
    // its control row as it was. Or it has returned to an epoch that was over.
    const leaseLost =
      !leaving &&
      state !== undefined &&
      state.epoch === next.epoch &&
      hadLease === 0 &&
      next.now - state.now < LEASE_MS;
    if (again && (leaseLost || past.has(next.epoch))) {
      await lose(next.epoch);
      return fetch(fresh, false);
    }
    if (next.epoch !== known) {
      if (known !== undefined) past.add(known);
      for (const first of past) if (past.size > PAST_EPOCHS) past.delete(first);
      known = next.epoch;
      onEpoch(next.epoch, next.lost);
    }
    state = next;
    readAt = began;
    refuseOtherKeyring(answer[4]);
    return next;
  }

  /** The replica that started first is right about the keyring: whoever comes with another one has a mistake in its deployment. */
  function refuseOtherKeyring(rows: string[]): void {
    const first = rows.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))[0];
    const differs = first !== undefined && first.slice(first.indexOf(' ') + 1) !== keyring;
    if (differs !== other) onOtherKeyring(differs);
    other = differs;
    if (differs) throw new Error('the replicas that were there first have another keyring');
  }

  return {
    async read(maxAgeMs) {
      if (state && !other && readAt > voidBefore && performance.now() - readAt <= maxAgeMs) return state;
      // A reading that is under way is shared, unless a fresh one is asked for: it may have begun too early for that.
      if (maxAgeMs > 0 && reading) return reading;
      const mine = fetch(maxAgeMs === 0).finally(() => {
        if (reading === mine) reading = undefined;
      });
      reading = mine;
      return mine;
    },
    async revoke(selector) {
      const args = [time(), selectorText(selector), MOST_REVOCATIONS, REVOCATION_LIFE_MS];
      await connection.run(REVOKE, at, args);
      invalidate();
    },
    async restore(revocations) {
      await connection.run(RESTORE, at, [time(), ...[...revocations].flat()]);
      invalidate();
    },
    async freeze({ selector, active, operator, reason, until }) {
      const known: Freezes = state?.freezes ?? new Map();
      const now = state?.now ?? clock.now();
      refuseTooMany(known, { selector, active, operator, reason, until }, now);
      const over = outdated(known, now);
      const row = JSON.stringify({ selector, active, operator, reason, until });
      // An empty table of Lua would be an object of JSON.
      const dropped = over.length === 0 ? '[]' : JSON.stringify(over);
      await connection.run(FREEZE, at, [time(), freezeText(selector), row, dropped]);
      invalidate();
    },
    async restoreFreezes(rows) {
      const args = [...rows].flatMap(([text, { number, ...row }]) => [text, number, JSON.stringify(row)]);
      await connection.run(RESTORE_FREEZES, at, [time(), ...args]);
      invalidate();
    },
    async leave() {
      leaving = true;
      await connection.run(LEAVE, at, [time(), replica]);
    },
    async loseHistory(epoch) {
      await lose(epoch);
      invalidate();
    },
  };
}

/** The control row, the store's clock, whether this replica had a lease, the replicas with one, and their rows. */
type ReadAnswer = [row: string[], now: string, hadLease: number, replicas: string[], rows: string[]];

function parse([flat, time, , replicas]: ReadAnswer, local: number): Control {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i] as string, flat[i + 1] as string);
  const revocations = new Map<string, number>();
  for (const [name, value] of fields) {
    if (name.startsWith('revoked:')) revocations.set(name.slice('revoked:'.length), Number(value));
  }
  const freezes = new Map<string, FreezeRow>();
  for (const [name, value] of fields) {
    if (!name.startsWith('frozen:')) continue;
    const text = name.slice('frozen:'.length);
    const space = value.indexOf(' ');
    freezes.set(text, readFreeze(text, Number(value.slice(0, space)), value.slice(space + 1)));
  }
  const now = Number(time);
  return {
    epoch: fields.get('epoch') ?? '',
    since: Number(fields.get('since') ?? 0),
    lost: fields.get('lost') === '1',
    lastRevocation: Number(fields.get('revision') ?? 0),
    revocations,
    freezes,
    now,
    skewMs: now - local,
    replicas,
  };
}

/** Which server processes answer. It costs a round trip of its own, so the answer holds for a while. */
function createServers(connection: RedisConnection, onEviction: () => void) {
  let warned = false;
  let known: { at: number; runIds: string } | undefined;
  return {
    forget(): void {
      known = undefined;
    },
    async runIds(fresh: boolean): Promise<string> {
      if (known && !fresh && performance.now() - known.at < INFO_AGE_MS) return known.runIds;
      const at = performance.now();
      const { runIds, evicts } = await connection.servers();
      if (evicts) {
        if (!warned) onEviction();
        warned = true;
        throw new Error('the store may drop keys to make room; set maxmemory-policy noeviction');
      }
      known = { at, runIds };
      return runIds;
    },
  };
}
