// What happens to a session in one step. All keys of one client are in one slot. Records have the form
// keyv stores: {"value": record, "expires": milliseconds}.
import { script } from './connection.ts';

const VERSION = `
local function version(stored)
  if not stored then return '' end
  local v = cjson.decode(stored).value
  return v.id .. ':' .. v.generation
end

local function revocations(backend)
  return redis.call('HGET', KEYS[2], backend) or '0'
end
`;

// KEYS: record, revocations, claim, debts. ARGV: backend, version seen, revocations seen, permit, lease,
// when the lease ends, ttl. The login is a debt of its own until it has ended. The claim holds "permit <permit>" while somebody logs in, "pause <code>" after a login that failed.
export const CLAIM = script(`${VERSION}
local stored, revoked = redis.call('GET', KEYS[1]), revocations(ARGV[1])
if version(stored) ~= ARGV[2] or revoked ~= ARGV[3] then return { 'changed', stored, revoked } end
local held = redis.call('GET', KEYS[3])
if held then
  local code = string.match(held, '^pause (.*)$')
  if code then return { 'paused', code } end
  return { 'busy' }
end
redis.call('SET', KEYS[3], 'permit ' .. ARGV[4], 'PX', ARGV[5])
redis.call('HSET', KEYS[4], 'login ' .. ARGV[4], ARGV[6] .. ' ')
redis.call('PEXPIRE', KEYS[4], ARGV[7])
return { 'claimed' }
`);

// KEYS: record, revocations, claim, debts. ARGV: backend, version seen, revocations seen, permit,
// value, ttl, debt of the record replaced, version of the new record.
export const COMMIT = script(`${VERSION}
if redis.call('GET', KEYS[3]) ~= 'permit ' .. ARGV[4] then return 0 end
redis.call('DEL', KEYS[3])
redis.call('HDEL', KEYS[4], 'login ' .. ARGV[4])
local stored = redis.call('GET', KEYS[1])
if version(stored) ~= ARGV[2] or revocations(ARGV[1]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6])
redis.call('HDEL', KEYS[4], ARGV[8])
if stored then
  redis.call('HSET', KEYS[4], ARGV[2], ARGV[7] .. ' ' .. stored)
  redis.call('PEXPIRE', KEYS[4], ARGV[6])
end
return 1
`);

// KEYS: claim, debts. ARGV: permit, code, pause in milliseconds (0: none).
export const GIVE_UP = script(`
redis.call('HDEL', KEYS[2], 'login ' .. ARGV[1])
if redis.call('GET', KEYS[1]) ~= 'permit ' .. ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], 'pause ' .. ARGV[2], 'PX', ARGV[3]) end
return 1
`);

// KEYS: record, revocations. ARGV: version, value, ttl.
export const REPLACE = script(`${VERSION}
if version(redis.call('GET', KEYS[1])) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`);

// KEYS: record, revocations, debts. ARGV: backend, version (or "*"), due, ttl. A claim is not touched:
// the login under way fails to commit, because the count has changed.
export const REVOKE = script(`${VERSION}
local stored = redis.call('GET', KEYS[1])
if ARGV[2] ~= '*' and version(stored) ~= ARGV[2] then return false end
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
if not stored then return false end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[3], version(stored), ARGV[3] .. ' ' .. stored)
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return stored
`);

// KEYS: debts. ARGV: now, until. Debts that are due, put off until then; and when the first is due.
export const OVERDUE = script(`
local found, first = {}, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local due, stored = string.match(all[i + 1], '^(%d+) (.*)$')
  due = tonumber(due)
  if due <= tonumber(ARGV[1]) then
    found[#found + 1] = stored
    if stored == '' then
      redis.call('HDEL', KEYS[1], all[i])
      due = nil
    else
      due = tonumber(ARGV[2])
      redis.call('HSET', KEYS[1], all[i], ARGV[2] .. ' ' .. stored)
    end
  end
  if due and (first == 0 or due < first) then first = due end
end
return { first, found }
`);

// KEYS: places of a client id. ARGV: place, limit, now, lease, ttl. Each place has the time until
// which it is kept although no session may be there yet.
export const TAKE_PLACE = script(`
if not redis.call('HGET', KEYS[1], ARGV[1]) and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[2]) then
  local stale = {}
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) <= tonumber(ARGV[3]) then stale[#stale + 1] = all[i] end
  end
  return { 0, stale }
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', tonumber(ARGV[3]) + tonumber(ARGV[4])))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return { 1, {} }
`);

export const LEAVE_PLACES = script(`return redis.call('HDEL', KEYS[1], unpack(ARGV))`);

export const REVOCATIONS = script(`return redis.call('HGET', KEYS[1], ARGV[1]) or '0'`);

// The index keeps the earliest time for each session.
export const REMIND = script(`return redis.call('ZADD', KEYS[1], 'LT', ARGV[1], ARGV[2])`);

export const DUE = script(`
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
`);

// KEYS: index. ARGV: when the next debt is due (0: none is left), session, now. An entry that was made
// earlier meanwhile stays as it is.
export const REMIND_AGAIN = script(`
local score = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not score or tonumber(score) > tonumber(ARGV[3]) then return 0 end
if ARGV[1] == '0' then return redis.call('ZREM', KEYS[1], ARGV[2]) end
return redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
`);

// KEYS: debts. ARGV: version, debt, ttl.
export const OWE = script(`
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
`);

export const PAID = script(`return redis.call('HDEL', KEYS[1], ARGV[1])`);
