// The ledger of one client as Redis keeps and changes it. It is ../../facts/ledger.ts in Lua, and both pass the same
// contract suite. The ledger is one packed value for each client, which does not grow with the number of calls.
import { LONGEST_CALL_MS } from '../../facts/ledger.ts';
import { INTEGERS, MAX_HANDLES, MAX_NETWORKS, STRINGS } from '../../facts/replay-limits.ts';
import { script } from './connection.ts';

const LEDGER = `
local now = tonumber(ARGV[1])
local HOUR, LONGEST_CALL, NETWORKS, HANDLES = 3600000, ${LONGEST_CALL_MS}, ${MAX_NETWORKS}, ${MAX_HANDLES}
local INTEGERS, STRINGS = ${INTEGERS}, ${STRINGS}

local function load()
  local packed = redis.call('GET', KEYS[1])
  if packed then return cmsgpack.unpack(packed), true end
  return { networks = {}, handles = {}, sessions = {} }, false
end

local function save(ledger, ttl)
  redis.call('SET', KEYS[1], cmsgpack.pack(ledger), 'PX', ttl)
end

-- A sliding window of 60 slots. It holds the number of the newest slot, the total, and the slots that are not empty.
local function count(ledger, name, width, events)
  local w = ledger[name] or { newest = 0, total = 0, slots = {} }
  ledger[name] = w
  local slot = math.max(w.newest, math.floor(now / width))
  if slot > w.newest then
    for at, events_then in pairs(w.slots) do
      if at <= slot - 60 then
        w.total = w.total - events_then
        w.slots[at] = nil
      end
    end
    w.newest = slot
  end
  if events > 0 then
    w.slots[slot] = (w.slots[slot] or 0) + events
    w.total = w.total + events
  end
  return w.total
end

`;

// KEYS: ledger, session record, revocations, replay window, calls under way.
// ARGV: now, ttl, epoch, network, backend, handle, kind of id (i: integer, s: string), id, name of the call.
// Counts the call, uses its id and answers the facts, in one step.
export const OBSERVE = script(`${LEDGER}
local ttl, epoch, network, backend, handle, kind, id = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local ledger, known = load()
local since = ledger.last and math.max(0, now - ledger.last) or -1
now = math.max(now, ledger.last or now)
ledger.last = now
-- Is the client known in this epoch? A ledger that is new, or that was last used under another epoch, says no: then
-- one of the replicas may not have read the present epoch yet. A new ledger gets no epoch, because the replica that
-- made it may be that one.
local existed = known
known = existed and ledger.epoch == epoch
if existed then ledger.epoch = epoch end
-- Calls under way have a key of their own, so that the end of a call need not read the ledger.
redis.call('HSET', KEYS[5], ARGV[9], string.format('%.0f', now))
local under_way = redis.call('HLEN', KEYS[5])
if under_way == 1 then redis.call('PEXPIRE', KEYS[5], 2 * LONGEST_CALL) end
if now - (ledger.pruned or 0) >= 60000 then
  -- Once a minute, calls whose replica must have died are given up.
  ledger.pruned = now
  redis.call('PEXPIRE', KEYS[5], 2 * LONGEST_CALL)
  local all = redis.call('HGETALL', KEYS[5])
  for i = 1, #all, 2 do
    if now - tonumber(all[i + 1]) >= LONGEST_CALL then
      redis.call('HDEL', KEYS[5], all[i])
      under_way = under_way - 1
    end
  end
end

-- The networks are kept newest first, and each has a window of its own.
local networks, current = {}, nil
for _, n in ipairs(ledger.networks) do
  if n.name == network then current = n
  elseif now - n.last <= HOUR then networks[#networks + 1] = n end
end
current = current or { name = network, last = now }
local before = current.last
count(current, 'calls', 60000, 1)
current.last = now
table.insert(networks, 1, current)
while #networks > NETWORKS do table.remove(networks) end
ledger.networks = networks

-- Replay: an id that was used before in this handle. A handle of another epoch, or one that nobody knows, cannot tell that an id is new: the id counts as used (R-17).
local seen, first_at, first_network = 0, -1, ''
if handle ~= '' then
  local window = redis.call('HMGET', KEYS[4], 'epoch', 'highest', 'strings', kind .. id)
  local field, slot, highest = kind .. id, nil, tonumber(window[2])
  local held = window[4]
  if kind == 'i' then
    slot = 'i' .. (tonumber(id) % INTEGERS)
    held = redis.call('HGET', KEYS[4], slot)
    -- A slot serves every ${INTEGERS}th number.
    if held and string.match(held, '^(%S+)') ~= id then held = false end
    field = slot
  end
  if window[1] ~= epoch then seen = 1
  elseif held then
    seen = 1
    local at, net = string.match(held, '^%S+ (%S+) (.*)$')
    first_at, first_network = tonumber(at), net
  elseif kind == 'i' and tonumber(id) <= highest - INTEGERS then seen = 1
  elseif kind == 's' and tonumber(window[3]) >= STRINGS then seen = 1
  else
    redis.call('HSET', KEYS[4], field, (kind == 'i' and id or '-') .. ' ' .. string.format('%.0f', now) .. ' ' .. network)
    if kind == 's' then redis.call('HINCRBY', KEYS[4], 'strings', 1)
    elseif tonumber(id) > highest then redis.call('HSET', KEYS[4], 'highest', id) end
  end
  if seen == 0 and ledger.handles[#ledger.handles] ~= handle then
    for i, other in ipairs(ledger.handles) do
      if other == handle then
        table.remove(ledger.handles, i)
        table.insert(ledger.handles, handle)
        break
      end
    end
  end
end

-- The session is read in the same step, with how it was used before this call.
local record, revocations, uses, idle_from = false, '0', 0, 0
if backend ~= '' then
  record = redis.call('GET', KEYS[2])
  revocations = redis.call('HGET', KEYS[3], backend) or '0'
  local ok, row = pcall(cjson.decode, record or '')
  local v = ok and type(row) == 'table' and row.value
  if record and (type(v) ~= 'table' or type(v.id) ~= 'string' or not tonumber(v.generation) or not tonumber(v.issuedAt)) then
    -- Somebody has written to the store (R-41). The row is served to nobody, and it is gone for the next call.
    redis.call('DEL', KEYS[2])
    record = 'unreadable'
  elseif record then
    -- This login came after whatever was lost before its epoch, so that does not matter any more (R-29).
    ledger.trusted = v.epoch
    local s = ledger.sessions[backend]
    if not s or s.id ~= v.id then s = { id = v.id, generation = 0, uses = 0, last = 0 } end
    -- A new generation of the same login is a renewal by the backend: its uses go on (R-80). A ledger that an older
    -- release has written does not know the login, only the generation.
    local login = s.issued or (s.generation == v.generation and v.issuedAt)
    if login ~= v.issuedAt then s.uses = 1 end
    s.issued, s.generation = v.issuedAt, v.generation
    uses, idle_from = s.uses, math.max(s.last, v.issuedAt)
    s.uses, s.last = s.uses + 1, now
    ledger.sessions[backend] = s
  end
end

local reply = {
  count(ledger, 'minute', 1000, 1), count(ledger, 'hour', 60000, 1), count(ledger, 'denials', 60000, 0),
  under_way, since, known and 1 or 0, type(ledger.trusted) == 'string' and ledger.trusted or '', seen, first_at, first_network,
  record, revocations, uses, idle_from, now,
}
for _, n in ipairs(networks) do
  reply[#reply + 1] = n.name
  reply[#reply + 1] = count(n, 'calls', 60000, 0)
  reply[#reply + 1] = n.name == network and before or n.last
end
save(ledger, ttl)
return reply
`);

// KEYS: calls under way. ARGV: name of the call.
export const FINISH = script(`return redis.call('HDEL', KEYS[1], ARGV[1])`);

// KEYS: ledger, calls under way. ARGV: now, ttl, name of the call.
// Ends the call and counts a denial, unless nothing is known of the client any more.
export const FINISH_DENIED = script(`${LEDGER}
redis.call('HDEL', KEYS[2], ARGV[3])
local ledger, known = load()
if not known then return 0 end
now = math.max(now, ledger.last or now)
count(ledger, 'denials', 60000, 1)
save(ledger, ARGV[2])
return 1
`);

// KEYS: calls under way. ARGV: now.
// Answers the names of the calls under way.
export const FLIGHT = script(`
local names = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if tonumber(ARGV[1]) - tonumber(all[i + 1]) < ${LONGEST_CALL_MS} then names[#names + 1] = all[i] end
end
return names
`);

// KEYS: ledger, replay window of the new handle.
// ARGV: now, ttl, epoch, handle, what the names of replay windows have before the handle.
export const OPEN_HANDLE = script(`${LEDGER}
local ledger = load()
redis.call('HSET', KEYS[2], 'epoch', ARGV[3], 'highest', -1, 'strings', 0)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
table.insert(ledger.handles, ARGV[4])
while #ledger.handles > HANDLES do
  -- This key is not in KEYS, but it is in the hash slot of KEYS[2]: the names differ in the handle only.
  redis.call('DEL', ARGV[5] .. table.remove(ledger.handles, 1))
end
save(ledger, ARGV[2])
return 1
`);

// KEYS: replay window. ARGV: epoch.
// Answers whether the handle is known in this epoch and its set of strings is not full.
export const HANDLE_STATE = script(`
local window = redis.call('HMGET', KEYS[1], 'epoch', 'strings')
return window[1] == ARGV[1] and tonumber(window[2]) < ${STRINGS} and 1 or 0
`);
