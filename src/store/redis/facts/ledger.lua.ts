// The ledger of one client as Redis keeps and changes it. It is ../../facts/ledger.ts in Lua, and both pass the same
// contract suite. It is a hash: a call reads and writes the few fields it needs, however much the client is remembered
// by. All stamps are of the store's clock, whatever the clocks of the replicas say.
import { LONGEST_CALL_MS } from '../../../facts/ledger.ts';
import { INTEGERS, MAX_HANDLES, MAX_NETWORKS, STRINGS } from '../../../facts/replay-limits.ts';
import { script } from '../connection.ts';

/** Calls of a replica whose lease has ended are looked for this often, for each client that calls. */
const PRUNE_MS = 2000;
/**
 * A call that began less than this ago is kept although its replica is not known yet: another replica may have read
 * the leases before that one had its own.
 */
const NEW_MS = 4000;

const CLOCK = `
-- ARGV[1] is empty, except in tests, which say what time it is.
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
`;

const WINDOW = `
-- A sliding window of 60 slots, in a ring of fields. The meta field has the number of the newest slot and the total.
local function window(text)
  local newest, total = string.match(text or '', '^(%d+) (%-?%d+)')
  return { newest = tonumber(newest) or 0, total = tonumber(total) or 0 }
end

local function count(w, ring, width, events)
  local slot = math.floor(now / width)
  if slot > w.newest then
    if w.total ~= 0 then
      local passed, fields = math.min(slot - w.newest, 60), {}
      for i = 1, passed do fields[i] = ring .. ((w.newest + i) % 60) end
      for _, events_then in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
        w.total = w.total - (tonumber(events_then) or 0)
      end
      redis.call('HDEL', KEYS[1], unpack(fields))
      if passed == 60 then w.total = 0 end
    end
    w.newest = slot
  end
  if events > 0 then
    redis.call('HINCRBY', KEYS[1], ring .. (w.newest % 60), events)
    w.total = w.total + events
  end
  return w.total
end

local function text(w) return string.format('%.0f %.0f', w.newest, w.total) end
`;

const MOVES = `
local function moves_of(text)
  local moves = {}
  for line in string.gmatch(text or '', '[^\\n]+') do
    local at, away, taken, from, name = string.match(line, '^(%-?%d+) (%d+) (%d+) (%S+) (%S+)$')
    if name then moves[name] = { at = tonumber(at), away = tonumber(away), taken = tonumber(taken), from = from } end
  end
  return moves
end

local function move_text(name, m) return string.format('%.0f %.0f %.0f ', m.at, m.away, m.taken) .. m.from .. ' ' .. name end
`;

// KEYS: ledger, session record, revocations, replay window, calls under way, handles, tools.
// ARGV: time, ttl, epoch, network, backend, handle, kind of id (i: integer, s: string), id, name of the call, leases
// of all replicas, tool. Counts the call, uses its id and answers the facts, in one step.
export const OBSERVE = script(`${CLOCK}${WINDOW}${MOVES}
local ttl, epoch, network, backend, handle, kind, id = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local HOUR, INTEGERS, STRINGS = 3600000, ${INTEGERS}, ${STRINGS}
local stored = redis.call('HMGET', KEYS[1], 'last', 'epoch', 'trusted', 'pruned', 'n', 'm', 'h', 'd', 'nets', 'used', 's:' .. backend, 'moves', 'dropped')
local last = tonumber(stored[1])
local since = last and math.max(0, now - last) or -1
now = math.max(now, last or now)
local changed = { 'last', string.format('%.0f', now) }
local function change(field, value) changed[#changed + 1] = field changed[#changed + 1] = value end
-- Is the client known in this epoch? A ledger that is new, or that was last used under another epoch, says no: then
-- one of the replicas may not have read the present epoch yet. A new ledger gets no epoch, because the replica that
-- made it may be that one.
local existed = last ~= nil
local known = existed and stored[2] == epoch
if existed and not known then change('epoch', epoch) end
-- Only grows. A replica that has seen a higher number knows that the ledger went back or was deleted (R-85).
local number = (tonumber(stored[5]) or 0) + 1
change('n', string.format('%.0f', number))

-- Calls under way have a key of their own, so that the end of a call is one plain command.
redis.call('HSET', KEYS[5], ARGV[9], string.format('%.0f', now))
local under_way = redis.call('HLEN', KEYS[5])
if under_way == 1 then redis.call('PEXPIRE', KEYS[5], ${2 * LONGEST_CALL_MS}) end
if now - (tonumber(stored[4]) or 0) >= ${PRUNE_MS} then
  change('pruned', string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[5], ${2 * LONGEST_CALL_MS})
  local all = redis.call('HGETALL', KEYS[5])
  for i = 1, #all, 2 do
    local age, replica = now - tonumber(all[i + 1]), string.match(all[i], '^[^/]*')
    local dead = age >= ${NEW_MS} and ARGV[10] ~= '' and not string.find(ARGV[10], ' ' .. replica .. ' ', 1, true)
    if dead or age >= ${LONGEST_CALL_MS} then
      redis.call('HDEL', KEYS[5], all[i])
      under_way = under_way - 1
    end
  end
end

-- The networks, the one used last first. Each line: place of its ring, last use, window, name.
local networks, current, free = {}, nil, { ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true, ['4'] = true, ['5'] = true, ['6'] = true, ['7'] = true, ['8'] = true }
local function drop(n)
  local fields = {}
  for i = 0, 59 do fields[i + 1] = n.ring .. ':' .. i end
  redis.call('HDEL', KEYS[1], unpack(fields))
  free[n.ring] = true
end
for line in string.gmatch(stored[9] or '', '[^\\n]+') do
  local ring, at, w, name = string.match(line, '^(%d) (%d+) (%d+ %d+) (.*)$')
  local n = { ring = ring, last = tonumber(at), window = window(w), name = name }
  free[ring] = nil
  if name == network then current = n
  elseif now - n.last <= HOUR then networks[#networks + 1] = n
  else drop(n) end
end
local dropped = tonumber(stored[13]) or -1
while #networks >= ${MAX_NETWORKS} do
  local gone = table.remove(networks)
  drop(gone)
  if gone.last > dropped then
    dropped = gone.last
    change('dropped', string.format('%.0f', dropped))
  end
end
if now - dropped > HOUR then dropped = -1 end
-- When the client came back to a network from another one of the same family, how long it had been away, and how many
-- calls from there were not refused because of the place itself. Apart from the networks, which other releases read.
local moves, previous = moves_of(stored[12]), nil
local function family(name) return string.find(name, ':', 1, true) ~= nil end
for line in string.gmatch(stored[9] or '', '[^\\n]+') do
  local name = string.match(line, '^%d %d+ %d+ %d+ (.*)$')
  if name and family(name) == family(network) then previous = name break end
end
local known_before = current ~= nil
if not current then
  moves[network] = { at = -1, away = 0, taken = 0, from = '-' }
  local ring = 0
  while not free[tostring(ring)] do ring = ring + 1 end
  current = { ring = tostring(ring), last = now, window = window(), name = network }
end
table.insert(networks, 1, current)
local before = current.last
current.last = now
local move = moves[network] or { at = -1, away = 0, taken = 1, from = '-' }
moves[network] = move
if known_before and previous and previous ~= network then
  move.at, move.away, move.from = now, now - before, previous
end
local untaken = known_before and move.taken == 0
if not untaken then move.taken = move.taken + 1 end
local lines, seen_from, moved = {}, {}, {}
for i, n in ipairs(networks) do
  local calls = count(n.window, n.ring .. ':', 60000, i == 1 and 1 or 0)
  lines[i] = n.ring .. ' ' .. string.format('%.0f', n.last) .. ' ' .. text(n.window) .. ' ' .. n.name
  seen_from[#seen_from + 1] = n.name
  seen_from[#seen_from + 1] = calls
  seen_from[#seen_from + 1] = i == 1 and before or n.last
  local m = moves[n.name] or { at = -1, away = 0, taken = 1, from = '-' }
  moved[i] = move_text(n.name, m)
  seen_from[#seen_from + 1] = m.at
  seen_from[#seen_from + 1] = m.away
  seen_from[#seen_from + 1] = m.taken
  seen_from[#seen_from + 1] = m.from
end
change('nets', table.concat(lines, '\\n'))
change('moves', table.concat(moved, '\\n'))

-- Replay: an id that was used before in this handle counts as used (R-17). So does every id where nothing is known of
-- the handle. Fields were taken out of a window that has fewer than were put in: its history is lost (R-85).
local seen, first_at, first_network, lost, uses_of_handle, missing = 0, -1, '', 0, 0, 0
if handle ~= '' then
  local w = redis.call('HMGET', KEYS[4], 'epoch', 'highest', 'strings', 'fields', 'lost', 'floor', kind .. id)
  local highest, field, held = tonumber(w[2]), kind .. id, w[7]
  if kind == 'i' then
    field = 'i' .. (tonumber(id) % INTEGERS)
    held = redis.call('HGET', KEYS[4], field)
    -- A slot serves every ${INTEGERS}th number.
    if held and string.match(held, '^(%S+)') ~= id then held = false end
  end
  if w[1] ~= epoch or not highest then
    seen, lost = 1, 1
  else
    if redis.call('HLEN', KEYS[4]) ~= tonumber(w[4]) then
      missing, w[5] = 1, '1'
      redis.call('HSET', KEYS[4], 'lost', '1', 'fields', redis.call('HLEN', KEYS[4]))
    end
    lost = w[5] == '1' and 1 or 0
    if held then
      seen = 1
      local at, net = string.match(held, '^%S+ (%S+) (.*)$')
      first_at, first_network = tonumber(at), net
    elseif kind == 'i' and tonumber(id) <= highest - INTEGERS then seen = 1
    elseif kind == 'i' and lost == 1 and tonumber(w[6]) and tonumber(id) < tonumber(w[6]) then seen = 1
    elseif kind == 's' and tonumber(w[3]) >= STRINGS then seen = 1
    else
      if redis.call('HSET', KEYS[4], field, (kind == 'i' and id or '-') .. ' ' .. string.format('%.0f', now) .. ' ' .. network) == 1 then
        redis.call('HINCRBY', KEYS[4], 'fields', 1)
      end
      if kind == 's' then
        -- A set that is full retires the handle, and with it what may go on without its history.
        if redis.call('HINCRBY', KEYS[4], 'strings', 1) >= STRINGS then change('used', epoch) end
      elseif tonumber(id) > highest then redis.call('HSET', KEYS[4], 'highest', id) end
      if kind == 'i' and lost == 1 and not tonumber(w[6]) then redis.call('HSET', KEYS[4], 'floor', id) end
    end
    uses_of_handle = redis.call('HINCRBY', KEYS[4], 'n', 1)
    redis.call('ZADD', KEYS[6], 'XX', number, handle)
  end
end

-- The session is read in the same step, with how it was used before this call. The first line of its row has what is
-- needed; a row without it makes no sense, which is for the reader to tell.
local record, revocations, uses, idle_from = false, '0', 0, 0
if backend ~= '' then
  record = redis.call('GET', KEYS[2])
  revocations = redis.call('HGET', KEYS[3], backend) or '0'
  local sid, login, issued, trusted = string.match(record or '', '^2 (%S+) %d+ (%d+) (%d+) (%S+) ')
  if sid then
    -- This login came after whatever was lost before its epoch, so that does not matter any more (R-29).
    if trusted ~= stored[3] then
      stored[3] = trusted
      change('trusted', trusted)
    end
    local known_id, known_login, known_uses, known_last = string.match(stored[11] or '', '^(%S+) (%d+) (%d+) (%d+)$')
    local same = known_id == sid
    -- A new generation of the same login is a renewal by the backend: its uses go on (R-80).
    uses = same and known_login == login and tonumber(known_uses) or 1
    idle_from = math.max(same and tonumber(known_last) or 0, tonumber(issued))
    change('s:' .. backend, sid .. ' ' .. login .. ' ' .. string.format('%.0f', uses + 1) .. ' ' .. string.format('%.0f', now))
  end
end

local minute, hour, denials = window(stored[6]), window(stored[7]), window(stored[8])
local reply = {
  count(minute, 'm', 1000, 1), count(hour, 'h', 60000, 1), count(denials, 'd', 60000, 0),
  under_way, since, known and 1 or 0, stored[3] or '', seen, first_at, first_network,
  record, revocations, uses, idle_from, now, lost, number, uses_of_handle, missing,
  dropped, untaken and 1 or 0, ARGV[11] ~= '' and redis.call('HGET', KEYS[7], ARGV[11]) or '',
}
change('m', text(minute))
change('h', text(hour))
change('d', text(denials))
redis.call('HSET', KEYS[1], unpack(changed))
redis.call('PEXPIRE', KEYS[1], ttl)
for _, each in ipairs(seen_from) do reply[#reply + 1] = each end
return reply
`);

// KEYS: ledger, calls under way. ARGV: time, ttl, name of the call, whether it was denied (1 or 0), a network or '', and
// what is added to the calls of that network that were taken. Ends the call and counts a denial, unless nothing is known
// of the client any more.
export const FINISH = script(`${CLOCK}${WINDOW}${MOVES}
redis.call('HDEL', KEYS[2], ARGV[3])
local stored = redis.call('HMGET', KEYS[1], 'last', 'd', 'moves')
if not stored[1] then return 0 end
now = math.max(now, tonumber(stored[1]))
if ARGV[4] == '1' then
  local denials = window(stored[2])
  count(denials, 'd', 60000, 1)
  redis.call('HSET', KEYS[1], 'd', text(denials))
end
local moves = moves_of(stored[3])
local move = moves[ARGV[5]]
if move and tonumber(ARGV[6]) ~= 0 then
  move.taken = math.max(0, move.taken + tonumber(ARGV[6]))
  local lines = {}
  for name, m in pairs(moves) do lines[#lines + 1] = move_text(name, m) end
  redis.call('HSET', KEYS[1], 'moves', table.concat(lines, '\\n'))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`);

// KEYS: calls under way. ARGV: time, leases of all replicas.
// Answers the names of the calls under way, without those of replicas that are gone.
export const FLIGHT = script(`${CLOCK}
local names = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local age, replica = now - tonumber(all[i + 1]), string.match(all[i], '^[^/]*')
  local dead = age >= ${NEW_MS} and ARGV[2] ~= '' and not string.find(ARGV[2], ' ' .. replica .. ' ', 1, true)
  if not dead and age < ${LONGEST_CALL_MS} then names[#names + 1] = all[i] end
end
return names
`);

const HANDLE = `
-- Remembers a handle. When there are too many, the one that was not used for the longest time is forgotten, and from
-- then on no handle of this client goes on without its history in this epoch.
local function remember(epoch, handle, ttl, before, lost)
  local held = redis.call('HMGET', KEYS[2], 'highest', 'strings')
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'highest', held[1] or -1, 'strings', held[2] or 0, 'lost', lost, 'floor', '', 'n', 0, 'fields', 0)
  redis.call('HSET', KEYS[2], 'fields', redis.call('HLEN', KEYS[2]))
  redis.call('PEXPIRE', KEYS[2], ttl)
  redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[1], 'n', 1), handle)
  redis.call('PEXPIRE', KEYS[3], ttl)
  redis.call('PEXPIRE', KEYS[1], ttl)
  while redis.call('ZCARD', KEYS[3]) > ${MAX_HANDLES} do
    -- This key is not in KEYS, but it is in the hash slot of KEYS[2]: the names differ in the handle only.
    redis.call('DEL', before .. redis.call('ZPOPMIN', KEYS[3])[1])
    redis.call('HSET', KEYS[1], 'used', epoch)
  end
end
`;

// KEYS: ledger, replay window of the new handle, handles.
// ARGV: ttl, epoch, handle, what the names of replay windows have before the handle.
export const OPEN_HANDLE = script(`${HANDLE}
remember(ARGV[2], ARGV[3], ARGV[1], ARGV[4], '0')
return 1
`);

// KEYS: ledger, replay window, handles.
// ARGV: ttl, epoch, handle, what the names of replay windows have before the handle, whether it was minted in this
// epoch (1) or in one whose history was lost (0).
// Answers whether the handle is known and can tell a replay. A handle of a lost epoch goes on, but only while no handle
// of the client was forgotten or used up in this one: else opening many handles would bring an old one back.
export const HANDLE_STATE = script(`${HANDLE}
local w = redis.call('HMGET', KEYS[2], 'epoch', 'strings')
if w[1] == ARGV[2] then
  if (tonumber(w[2]) or ${STRINGS}) < ${STRINGS} then return 1 end
  redis.call('HSET', KEYS[1], 'used', ARGV[2])
  return 0
end
if ARGV[5] == '1' or redis.call('HGET', KEYS[1], 'used') == ARGV[2] then return 0 end
if (tonumber(w[2]) or 0) >= ${STRINGS} then return 0 end
remember(ARGV[2], ARGV[3], ARGV[1], ARGV[4], '1')
return 1
`);

// KEYS: replay window. The history of the handle is lost: a replica remembers more of it than the store does.
export const LOSE_HISTORY = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'lost', '1') end
return 1
`);

// KEYS: ledger. ARGV: backend. Answers the id, login, uses and last use of the session, if they are remembered.
export const SESSION_USE = script(`return redis.call('HGET', KEYS[1], 's:' .. ARGV[1])`);
