// The epoch and the revocations, shared by all replicas in one key. The key is read again whenever the last reading
// is too old, and after every change of the connection. There is no timer and no message that could be missed.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type Control, type ControlPort, selectorText } from '../../session/control.ts';
import { type RedisConnection, script } from './connection.ts';

/** Most fields of the control key. */
const SELECTORS = 10_000;

// A store that has no epoch is new or was emptied. A server process that is gone was restarted or failed over, and
// the last writes may be lost with it. Both begin a new epoch.
const READ = script(`
local known = redis.call('HMGET', KEYS[1], 'epoch', 'servers')
local candidate, remembered, servers, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not known[1] then
  redis.call('HSET', KEYS[1], 'epoch', candidate, 'servers', servers, 'since', now, 'lost', remembered == '' and '0' or '1')
elseif remembered ~= '' and remembered ~= known[1] then
  -- A replica that remembers another epoch knows that something was lost, even when a newcomer began this one.
  redis.call('HSET', KEYS[1], 'lost', '1')
end
if known[1] and servers ~= '' and known[2] ~= servers then
  local present = ' ' .. servers .. ' '
  local gone = false
  for id in string.gmatch(known[2], '%S+') do
    if not string.find(present, ' ' .. id .. ' ', 1, true) then gone = true end
  end
  redis.call('HSET', KEYS[1], 'servers', servers)
  if gone then redis.call('HSET', KEYS[1], 'epoch', candidate, 'since', now, 'lost', '1') end
end
return redis.call('HGETALL', KEYS[1])
`);

// When there are too many selectors, one revocation of all takes the place of each. It ends more sessions than were
// meant, but never fewer.
const REVOKE = script(`
local field = 'revoked:' .. ARGV[1]
local revision = redis.call('HINCRBY', KEYS[1], 'revision', 1)
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[2]) then field = 'revoked:all' end
if field == 'revoked:all' then
  for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(name, 1, 8) == 'revoked:' then redis.call('HDEL', KEYS[1], name) end
  end
end
redis.call('HSET', KEYS[1], field, revision)
return revision
`);

/** What the control state works with. `key` is the name of its one key. */
export interface RedisControlOptions {
  connection: RedisConnection;
  key: string;
  /** The epoch that this replica knew before it started, so that a loss while it was down is noticed. */
  remembered: string | undefined;
  /** Called with each epoch that is not the one known before. `lost`: another epoch came before it. */
  onEpoch: (epoch: string, lost: boolean) => void;
  /**
   * Called once when the store may drop keys to make room. Reads reject as long as that is so: what was dropped would
   * be forgotten.
   */
  onEviction: () => void;
  clock: Clock;
}

/**
 * The control state in Redis. A reading is kept, and shared by all calls of this process for which it is new enough.
 */
export function createRedisControl({
  connection,
  key,
  remembered,
  onEpoch,
  onEviction,
  clock,
}: RedisControlOptions): ControlPort {
  let state: Control | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  /**
   * Readings from before this time (performance.now) are void, because the connection changed or a revocation was
   * added here.
   */
  let voidBefore = 0;
  let reading: Promise<Control> | undefined;
  let known = remembered;
  let warned = false;
  const invalidate = () => {
    voidBefore = performance.now();
  };
  connection.onChange(invalidate);

  async function fetch(): Promise<Control> {
    const began = performance.now();
    const { runIds, evicts } = await connection.servers();
    if (evicts) {
      if (!warned) onEviction();
      warned = true;
      throw new Error('the store may drop keys to make room');
    }
    const flat = (await connection.run(READ, [key], [randomUUID(), known ?? '', runIds, clock.now()])) as string[];
    const next = parse(flat);
    if (next.epoch !== known) {
      known = next.epoch;
      onEpoch(next.epoch, next.lost);
    }
    state = next;
    readAt = began;
    return next;
  }

  return {
    async read(maxAgeMs) {
      if (state && readAt > voidBefore && performance.now() - readAt <= maxAgeMs) return state;
      // A reading that is under way is shared, unless a fresh one is asked for: it may have begun too early for that.
      if (maxAgeMs > 0 && reading) return reading;
      const mine = fetch().finally(() => {
        if (reading === mine) reading = undefined;
      });
      reading = mine;
      return mine;
    },
    async revoke(selector) {
      await connection.run(REVOKE, [key], [selectorText(selector), SELECTORS]);
      invalidate();
    },
  };
}

function parse(flat: string[]): Control {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i] as string, flat[i + 1] as string);
  const revocations = new Map<string, number>();
  for (const [name, value] of fields) {
    if (name.startsWith('revoked:')) revocations.set(name.slice('revoked:'.length), Number(value));
  }
  return {
    epoch: fields.get('epoch') ?? '',
    since: Number(fields.get('since') ?? 0),
    lost: fields.get('lost') === '1',
    lastRevocation: Number(fields.get('revision') ?? 0),
    revocations,
  };
}
