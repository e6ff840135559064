// Everything that happens to a session, each in one atomic step. All keys of one client are in one hash slot. A record
// is a text whose first line has what the scripts need (see row.ts), so that they read no JSON.
import { MOST_SUPERSEDED } from '../../../session/pending.ts';
import { script } from '../connection.ts';

const VERSION = `
-- The first line of a row: session id, generation, that of the login, its time, epoch, fingerprint of the token. A row
-- that cannot be read is a version that nobody has observed: it is never served, and may be removed.
local function head(stored)
  if not stored then return nil end
  local id, generation, login, token = string.match(stored, '^2 (%S+) (%d+) (%d+) %d+ %S+ (%S+)\\n')
  return id and { id = id, generation = generation, login = login, token = token } or nil
end

local function version(stored)
  if not stored then return '' end
  local h = head(stored)
  return h and h.id .. ':' .. h.generation or 'unreadable'
end

local function revocations(backend)
  return redis.call('HGET', KEYS[2], backend) or '0'
end

-- Superseded values: their rows by fingerprint, the order in which they came, and how many more there were.
local function supersede(values, order, row, token, at, ttl)
  redis.call('HSET', values, token, row)
  redis.call('ZADD', order, at, token)
  if redis.call('ZCARD', order) > ${MOST_SUPERSEDED} then
    local oldest = redis.call('ZPOPMIN', order)[1]
    redis.call('HDEL', values, oldest)
    redis.call('HINCRBY', values, 'older', 1)
  end
  redis.call('PEXPIRE', values, ttl)
  redis.call('PEXPIRE', order, ttl)
end

-- The login has ended: its value in use and those that were superseded become pending logouts in the same step.
local function pend(pending, values, order, stored, due, ttl)
  local h = head(stored)
  if not h then return end
  local all = redis.call('HGETALL', values)
  for i = 1, #all, 2 do
    if all[i] == 'older' then redis.call('HSET', pending, 'older ' .. all[i + 1] .. ' ' .. h.token, due .. ' ' .. stored)
    else redis.call('HSET', pending, all[i], due .. ' ' .. all[i + 1]) end
  end
  redis.call('HSET', pending, h.token, due .. ' ' .. stored)
  redis.call('PEXPIRE', pending, ttl)
  redis.call('DEL', values, order)
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

// KEYS: record, revocations, login lock, pending logouts, superseded values, their order.
// ARGV: backend, version observed, revocations observed, lock id, row, ttl, when the logout of the replaced record is
// due. Stores the record of a login and gives the lock back. The client library may repeat the script
// when an answer was lost, so the same row once more gets the same answer.
export const COMMIT = script(`${VERSION}
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[5] then return 1 end
if redis.call('GET', KEYS[3]) ~= 'permit ' .. ARGV[4] then return 0 end
redis.call('DEL', KEYS[3])
if version(stored) ~= ARGV[2] or revocations(ARGV[1]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6])
-- The number of revocations outlives the row, by which a row that vanished is told from one that was revoked.
redis.call('PEXPIRE', KEYS[2], 2 * ARGV[6])
redis.call('HDEL', KEYS[4], 'login ' .. ARGV[4])
if stored then pend(KEYS[4], KEYS[5], KEYS[6], stored, ARGV[7], ARGV[6]) end
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

// KEYS: record, revocations, superseded values, their order. ARGV: version, row, ttl.
// Replaces exactly this version of the record, and keeps the value that stood there as superseded.
export const REPLACE = script(`${VERSION}
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then return 1 end
if not stored or version(stored) ~= ARGV[1] then return 0 end
local before, after = head(stored), head(ARGV[2])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[2], 2 * ARGV[3])
if before.token ~= after.token then
  redis.call('HDEL', KEYS[3], after.token)
  redis.call('ZREM', KEYS[4], after.token)
  supersede(KEYS[3], KEYS[4], stored, before.token, after.generation, ARGV[3])
end
return 1
`);

// KEYS: record, revocations, superseded values, their order. ARGV: row, ttl.
// Keeps a value beside the one in use, when both are of one login and differ. Answers 0 when that login has ended.
export const SUPERSEDE = script(`${VERSION}
local present, value = head(redis.call('GET', KEYS[1])), head(ARGV[1])
if not present or present.id ~= value.id or present.login ~= value.login then return 0 end
if present.token == value.token or redis.call('HEXISTS', KEYS[3], value.token) == 1 then return 1 end
supersede(KEYS[3], KEYS[4], ARGV[1], value.token, present.generation, ARGV[2])
return 1
`);

// KEYS: record, revocations, pending logouts, superseded values, their order. ARGV: backend, version ("*": any; "row": the
// row that ARGV[5] is), due, ttl.
// The login lock is left alone: a login that is under way fails to commit, because the number of revocations has
// changed. A row that cannot be read is removed by any revocation; there is nothing in it that could be logged
// out.
export const REVOKE = script(`${VERSION}
local stored = redis.call('GET', KEYS[1])
local present = version(stored)
if ARGV[2] == 'row' then
  if stored ~= ARGV[5] then return false end
elseif ARGV[2] ~= '*' and present ~= ARGV[2] and present ~= 'unreadable' then return false end
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
redis.call('PEXPIRE', KEYS[2], 2 * ARGV[4])
if not stored then return false end
redis.call('DEL', KEYS[1])
if present == 'unreadable' then
  -- Its superseded values can still be logged out.
  local all = redis.call('HGETALL', KEYS[4])
  for i = 1, #all, 2 do
    if all[i] ~= 'older' then redis.call('HSET', KEYS[3], all[i], ARGV[3] .. ' ' .. all[i + 1]) end
  end
  redis.call('DEL', KEYS[4], KEYS[5])
  return false
end
pend(KEYS[3], KEYS[4], KEYS[5], stored, ARGV[3], ARGV[4])
return stored
`);

// KEYS: pending logouts. Answers name and record of each.
export const PENDING = script(`return redis.call('HGETALL', KEYS[1])`);

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

// KEYS: the turn. ARGV: who, lease in milliseconds.
// Takes the turn, or keeps it for longer.
export const TAKE_TURN = script(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);

// KEYS: the turn. ARGV: who.
export const GIVE_TURN = script(`
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0
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

// KEYS: record, revocations. ARGV: backend.
export const GET_SESSION = script(`
return { redis.call('GET', KEYS[1]), redis.call('HGET', KEYS[2], ARGV[1]) or '0' }
`);

// KEYS: record.
export const GET_ROW = script(`return redis.call('GET', KEYS[1])`);

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
