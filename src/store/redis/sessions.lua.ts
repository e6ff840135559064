// Everything that happens to a session, each in one atomic step. All keys of one client are in one hash slot. Records
// have the form in which keyv stores them: {"value": record, "expires": milliseconds since 1970}.
import { script } from './connection.ts';

const VERSION = `
-- A row that cannot be read is a version that nobody has observed: it is never served, and may be removed.
local function version(stored)
  if not stored then return '' end
  local ok, row = pcall(cjson.decode, stored)
  local v = ok and type(row) == 'table' and row.value
  if type(v) ~= 'table' then return 'unreadable' end
  return tostring(v.id) .. ':' .. tostring(v.generation)
end

local function revocations(backend)
  return redis.call('HGET', KEYS[2], backend) or '0'
end
`;

// KEYS: record, revocations, login lock, pending logouts.
// ARGV: backend, version observed, revocations observed, lock id, lease in milliseconds, when the lease ends, ttl.
// Takes the login lock. Until the login has ended it is a pending logout of its own (R-27). The lock holds "permit
// <lock id>" while somebody logs in, and "pause <code>" after a login that failed.
export const LOCK_LOGIN = script(`${VERSION}
local stored, revoked = redis.call('GET', KEYS[1]), revocations(ARGV[1])
if version(stored) ~= ARGV[2] or revoked ~= ARGV[3] then return { 'changed', stored, revoked } end
local held = redis.call('GET', KEYS[3])
if held then
  local code = string.match(held, '^pause (.*)$')
  if code then return { 'paused', code } end
  return { 'held' }
end
redis.call('SET', KEYS[3], 'permit ' .. ARGV[4], 'PX', ARGV[5])
redis.call('HSET', KEYS[4], 'login ' .. ARGV[4], ARGV[6] .. ' ')
redis.call('PEXPIRE', KEYS[4], ARGV[7])
return { 'locked' }
`);

// KEYS: login lock, pending logouts. ARGV: lock id, pending logout, ttl.
// Replaces what this login has recorded so far, unless the login is not known any more.
export const CHECKPOINT = script(`
if redis.call('HEXISTS', KEYS[2], 'login ' .. ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'login ' .. ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
`);

// KEYS: record, revocations, login lock, pending logouts.
// ARGV: backend, version observed, revocations observed, lock id, value, ttl, when the logout of the replaced record
// is due, name of that pending logout.
// Stores the record of a login and gives the lock back. The client library may repeat the script when an
// answer was lost, so the same value once more gets the same answer.
export const COMMIT = script(`${VERSION}
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[5] then return 1 end
if redis.call('GET', KEYS[3]) ~= 'permit ' .. ARGV[4] then return 0 end
redis.call('DEL', KEYS[3])
if version(stored) ~= ARGV[2] or revocations(ARGV[1]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6])
redis.call('HDEL', KEYS[4], 'login ' .. ARGV[4])
if stored then
  redis.call('HSET', KEYS[4], ARGV[8], ARGV[7] .. ' ' .. stored)
  redis.call('PEXPIRE', KEYS[4], ARGV[6])
end
return 1
`);

// KEYS: login lock, pending logouts. ARGV: lock id, code, pause in milliseconds (0: none).
// Gives the login lock back after a login that failed.
export const UNLOCK_LOGIN = script(`
redis.call('HDEL', KEYS[2], 'login ' .. ARGV[1])
if redis.call('GET', KEYS[1]) ~= 'permit ' .. ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], 'pause ' .. ARGV[2], 'PX', ARGV[3]) end
return 1
`);

// KEYS: record, revocations. ARGV: version, value, ttl.
// Replaces exactly this version of the record.
export const REPLACE = script(`${VERSION}
if version(redis.call('GET', KEYS[1])) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`);

// KEYS: record, revocations, pending logouts. ARGV: backend, version (or "*"), due, ttl.
// The login lock is left alone: a login that is under way fails to commit, because the number of revocations has
// changed. A row that cannot be read is removed by any revocation; there is nothing in it that could be logged
// out.
export const REVOKE = script(`${VERSION}
local stored = redis.call('GET', KEYS[1])
local present = version(stored)
if ARGV[2] ~= '*' and present ~= ARGV[2] and present ~= 'unreadable' then return false end
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
if not stored then return false end
redis.call('DEL', KEYS[1])
if present == 'unreadable' then return false end
local name = tostring(cjson.decode(stored).value.tokenFingerprint)
redis.call('HSET', KEYS[3], name, ARGV[3] .. ' ' .. stored)
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return stored
`);

// KEYS: pending logouts. ARGV: now, until.
// Answers when the next pending logout is due (0: there is none), then name and record of each that is due now; these
// are put off until the time given. An entry that is no pending logout is removed. A login that never ended and
// recorded no token has an empty record.
export const OVERDUE = script(`
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' then
  if kind ~= 'none' then redis.call('DEL', KEYS[1]) end
  return { 0 }
end
local found, next_due = { 0 }, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local due, stored = string.match(all[i + 1], '^(%d+) (.*)$')
  due = tonumber(due)
  if due and due <= tonumber(ARGV[1]) then
    found[#found + 1] = all[i]
    found[#found + 1] = stored
    due = tonumber(ARGV[2])
    redis.call('HSET', KEYS[1], all[i], ARGV[2] .. ' ' .. stored)
  end
  if not due then redis.call('HDEL', KEYS[1], all[i])
  elseif next_due == 0 or due < next_due then next_due = due end
end
found[1] = next_due
return found
`);

// KEYS: places of a client id. ARGV: place, limit, now, lease in milliseconds, ttl, session id.
// Each place holds the time until which it is kept although no session may be there yet, and the session it was taken
// for. When no place is free, the answer lists up to 100 places whose time is over, whose sessions may be gone.
export const TAKE_PLACE = script(`
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[2]) then
  local stale = {}
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local kept = tonumber(string.match(all[i + 1], '^(%d+)') or '0')
    if kept <= tonumber(ARGV[3]) and #stale < 100 then stale[#stale + 1] = all[i] end
  end
  return { 0, stale }
end
local kept = string.format('%.0f', tonumber(ARGV[3]) + tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], ARGV[1], kept .. ' ' .. ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return { 1, {} }
`);

// KEYS: places. ARGV: place, session id.
// Gives the place back, unless another session has taken it since.
export const LEAVE_PLACE = script(`
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and string.match(held, '^%d+ (.*)$') == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
`);

// KEYS: places. ARGV: the places whose sessions are gone.
export const LEAVE_PLACES = script(`return redis.call('HDEL', KEYS[1], unpack(ARGV))`);

// KEYS: revocations. ARGV: backend.
export const REVOCATIONS = script(`return redis.call('HGET', KEYS[1], ARGV[1]) or '0'`);

// KEYS: reminders. ARGV: now, most.
// Answers the reminders whose time has come. Each reminder is an entry of its own, so that removing one cannot remove
// another.
export const DUE = script(`
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
`);

// KEYS: reminders. ARGV: when, reminder.
export const REMIND = script(`return redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])`);

// KEYS: reminders. ARGV: reminder.
export const REMINDED = script(`return redis.call('ZREM', KEYS[1], ARGV[1])`);

// KEYS: pending logouts. ARGV: name, pending logout, ttl.
export const ADD_PENDING_LOGOUT = script(`
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
`);

// KEYS: pending logouts. ARGV: name.
export const REMOVE_PENDING_LOGOUT = script(`return redis.call('HDEL', KEYS[1], ARGV[1])`);
