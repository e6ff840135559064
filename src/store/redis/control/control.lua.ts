// The scripts behind the control state. Its row has the form that releases before layout 2 read as well: they share the
// epoch and the revocations. The clock and the leases have keys of their own, in the same hash slot.
import { script } from '../connection.ts';

/** How long a replica counts as living after it was last heard of. */
export const LEASE_MS = 8000;
/** A clock that goes back further than this is a loss: what was counted by it means nothing any more. */
const MOST_BACK_MS = 60_000;

const CLOCK = `
-- The store's clock never goes back by a little. ARGV[1] is empty, except in tests, which say what time it is.
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('HGET', KEYS[2], 'clock'))
local back = last and now < last - ${MOST_BACK_MS}
if last and not back then now = math.max(now, last) end
local text = string.format('%.0f', now)
`;

// KEYS: control row, state, leases, replicas. ARGV: time, epoch to begin, epoch remembered, servers, replica, keyring.
// A store that has no epoch is new or was emptied. A server process that is gone was restarted or failed over, and the
// last writes may be lost with it. A clock that has gone back makes every stamp wrong. Each begins a new epoch.
export const READ = script(`${CLOCK}
local candidate, remembered, servers, replica = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local known = redis.call('HMGET', KEYS[1], 'epoch', 'servers')
if not known[1] then
  redis.call('HSET', KEYS[1], 'epoch', candidate, 'servers', servers, 'since', text, 'lost', remembered == '' and '0' or '1')
elseif remembered ~= '' and remembered ~= known[1] then
  -- A replica that remembers another epoch knows that something was lost, even when a newcomer began this one.
  redis.call('HSET', KEYS[1], 'lost', '1')
end
local gone = known[1] and back
if known[1] and servers ~= '' and known[2] ~= servers then
  local present = ' ' .. servers .. ' '
  for id in string.gmatch(known[2] or '', '%S+') do
    if not string.find(present, ' ' .. id .. ' ', 1, true) then gone = true end
  end
  redis.call('HSET', KEYS[1], 'servers', servers)
end
if gone then redis.call('HSET', KEYS[1], 'epoch', candidate, 'since', text, 'lost', '1') end
redis.call('HSET', KEYS[2], 'clock', text)

-- The lease of this replica, and the end of those of others. Each row says when the replica was first heard of.
for _, each in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text)) do
  if each ~= replica then redis.call('HDEL', KEYS[4], each) redis.call('ZREM', KEYS[3], each) end
end
for _, each in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], string.format('%.0f', now + ${2 * LEASE_MS}), '+inf')) do
  redis.call('HDEL', KEYS[4], each)
  redis.call('ZREM', KEYS[3], each)
end
local had = redis.call('ZADD', KEYS[3], string.format('%.0f', now + ${LEASE_MS}), replica) == 0 and 1 or 0
local since = string.match(redis.call('HGET', KEYS[4], replica) or '', '^%d+') or text
redis.call('HSET', KEYS[4], replica, since .. ' ' .. ARGV[6])
return { redis.call('HGETALL', KEYS[1]), text, had, redis.call('ZRANGE', KEYS[3], 0, -1), redis.call('HVALS', KEYS[4]) }
`);

// KEYS: as above. ARGV: time, epoch, epoch to begin.
export const LOSE = script(`${CLOCK}
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[2] then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'since', text, 'lost', '1')
end
return 1
`);

// KEYS: as above. ARGV: time, replica.
export const LEAVE = script(`
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
return 1
`);

const NUMBER = `
local function newest(at_least)
  local number = math.max((tonumber(redis.call('HGET', KEYS[1], 'revision')) or 0), at_least)
  redis.call('HSET', KEYS[1], 'revision', string.format('%.0f', number))
  return number
end
`;

// KEYS: as above. ARGV: time, selector, most revocations, how long they are kept in milliseconds.
// A revocation that can end nothing any more is removed. When there are too many, one revocation of all takes the place
// of each. It ends more sessions than were meant, but never fewer.
export const REVOKE = script(`${CLOCK}${NUMBER}
local number = newest(math.max(now, (tonumber(redis.call('HGET', KEYS[1], 'revision')) or 0) + 1))
local all, count = redis.call('HGETALL', KEYS[1]), 0
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 8) == 'revoked:' then
    count = count + 1
    local at = tonumber(all[i + 1])
    -- The numbers of releases before layout 2 are small and say no time.
    if at and at > 1e12 and at < now - tonumber(ARGV[4]) - 3600000 then
      redis.call('HDEL', KEYS[1], all[i])
      count = count - 1
    end
  end
end
local field = 'revoked:' .. ARGV[2]
if count >= tonumber(ARGV[3]) and redis.call('HEXISTS', KEYS[1], field) == 0 then field = 'revoked:all' end
if field == 'revoked:all' then
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 8) == 'revoked:' then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
redis.call('HSET', KEYS[1], field, string.format('%.0f', number))
return 1
`);

// KEYS: as above. ARGV: time, then selector and number of each.
export const RESTORE = script(`${CLOCK}${NUMBER}
for i = 2, #ARGV, 2 do
  local field, number = 'revoked:' .. ARGV[i], tonumber(ARGV[i + 1])
  if number > (tonumber(redis.call('HGET', KEYS[1], field)) or 0) then
    redis.call('HSET', KEYS[1], field, string.format('%.0f', number))
  end
  newest(number)
end
return 1
`);

// KEYS: as above. ARGV: time, selector, the row without its number as JSON, rows that are dropped (selectors as a JSON list).
export const FREEZE = script(`${CLOCK}${NUMBER}
for _, text in ipairs(cjson.decode(ARGV[4])) do redis.call('HDEL', KEYS[1], 'frozen:' .. text) end
local field = 'frozen:' .. ARGV[2]
local number = newest(math.max(now, (tonumber(redis.call('HGET', KEYS[1], 'revision')) or 0) + 1))
redis.call('HSET', KEYS[1], field, string.format('%.0f', number) .. ' ' .. ARGV[3])
return 1
`);

// KEYS: as above. ARGV: time, then selector, number and row of each.
export const RESTORE_FREEZES = script(`${CLOCK}${NUMBER}
for i = 2, #ARGV, 3 do
  local field, number = 'frozen:' .. ARGV[i], tonumber(ARGV[i + 1])
  local known = string.match(redis.call('HGET', KEYS[1], field) or '', '^%d+')
  if number > (tonumber(known) or 0) then
    redis.call('HSET', KEYS[1], field, string.format('%.0f', number) .. ' ' .. ARGV[i + 2])
  end
  newest(number)
end
return 1
`);
