// The quotas of backends in Redis, each step in one script, so that replicas do not count past each other.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import type { BackendQuotas } from '../../session/quotas.ts';
import { type RedisConnection, script } from './connection.ts';
import type { Keys } from './keys.ts';

// KEYS: places. ARGV: now, call, most, end of the lease, lease in ms.
const ENTER = script(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) and not redis.call('ZSCORE', KEYS[1], ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
`);

// KEYS: places. ARGV: call.
const LEAVE = script(`return redis.call('ZREM', KEYS[1], ARGV[1])`);

// KEYS: logins, failures of the account. ARGV: now, id of the login, most a minute ('' for any number), most failures, their
// time in ms.
// Answers 0 for a login that was counted, or after how many milliseconds one may begin.
const LOGIN = script(`
local now = tonumber(ARGV[1])
local function wait(key, most, ms)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - ms)
  if redis.call('ZCARD', key) < most then return 0 end
  local at = redis.call('ZRANGE', key, -most, -most, 'WITHSCORES')[2]
  return math.max(1, tonumber(at) + ms - now)
end
local ms = wait(KEYS[2], tonumber(ARGV[4]), tonumber(ARGV[5]))
if ARGV[3] == '' then return ms end
ms = math.max(ms, wait(KEYS[1], tonumber(ARGV[3]), 60000))
if ms == 0 then
  redis.call('ZADD', KEYS[1], now, ARGV[2])
  redis.call('PEXPIRE', KEYS[1], 60000)
end
return ms
`);

// KEYS: failures of the account. ARGV: now, id of the login, 1 when it was accepted, time of a failure in ms.
const ANSWERED = script(`
if ARGV[3] == '1' then return redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[4])
`);

export function createRedisQuotas(
  { run }: Pick<RedisConnection, 'run'>,
  keys: Pick<Keys, 'backendPlaces' | 'backendLogins' | 'failedLogins'>,
  clock: Clock,
): BackendQuotas {
  return {
    async enter(backend, call, most, leaseMs) {
      const now = clock.now();
      return (await run(ENTER, [keys.backendPlaces(backend)], [now, call, most, now + leaseMs, leaseMs])) === 1;
    },
    async leave(backend, call) {
      await run(LEAVE, [keys.backendPlaces(backend)], [call]);
    },
    async login(backend, account, { perMinute, failures: { most, withinMs } }) {
      const names = [keys.backendLogins(backend), keys.failedLogins(backend, account)];
      return Number(await run(LOGIN, names, [clock.now(), randomUUID(), perMinute ?? '', most, withinMs]));
    },
    async answered(backend, account, accepted, { failures: { withinMs } }) {
      const args = [clock.now(), randomUUID(), accepted ? 1 : 0, withinMs];
      await run(ANSWERED, [keys.failedLogins(backend, account)], args);
    },
  };
}
