// Open incidents in Redis, so that of all replicas one tells of the first alert, and one that a window has ended. The alert is
// a text that no script looks into. All keys are in one hash slot.
import {
  type Acknowledgement,
  type AlertBoard,
  type Ended,
  GONE_MS,
  type Incident,
  LEASE_MS,
  LONGEST_WINDOW_MS,
  MOST_ENDED,
  MOST_INCIDENTS,
  MOST_SILENCES,
  type Raised,
  type Silence,
  silenceName,
} from '../../alerts/board/board.ts';
import { type RedisConnection, script } from './connection.ts';
import type { Keys } from './keys.ts';

/** An incident that nobody closes, because all replicas have gone, is forgotten after a week. */
const TTL_MS = 7 * 24 * 3_600_000;

// KEYS: incidents, due, evicted. ARGV: by, now, time to live, most; then of each: its name, window, count, whether it lasts, the
// alert. A row that is being told to be over makes room for another one of its name.
const RAISE = script(`
local answers = {}
local function makeRoom()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '+inf', 'LIMIT', 0, 50)) do
    local text = redis.call('HGET', KEYS[1], name)
    if not text or not cjson.decode(text).lasts then
      redis.call('ZREM', KEYS[2], name)
      redis.call('HDEL', KEYS[1], name)
      if text then redis.call('RPUSH', KEYS[3], text) redis.call('LTRIM', KEYS[3], -10000, -1) end
      return
    end
  end
end
for i = 5, #ARGV, 5 do
  local name, window, count = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local text = redis.call('HGET', KEYS[1], name)
  local row, first = text and cjson.decode(text), 0
  -- Another one of the name begins before it was told that this one is over.
  if row and row.closing then redis.call('RPUSH', KEYS[3], text) redis.call('LTRIM', KEYS[3], -10000, -1) end
  if row and not row.closing then
    row.count, row.fresh = row.count + count, row.fresh + count
    if count > 0 then row.last = tonumber(ARGV[2]) end
  else
    if not row and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then makeRoom() end
    first = 1
    row = { alert = ARGV[i + 4], lasts = ARGV[i + 3] == '1', windowMs = window, by = ARGV[1], delivered = false,
      mark = ARGV[2], since = tonumber(ARGV[2]), last = tonumber(ARGV[2]), due = tonumber(ARGV[2]) + window,
      closing = false, count = math.max(1, count), fresh = math.max(0, count - 1) }
    redis.call('ZADD', KEYS[2], row.due, name)
  end
  if first == 1 or count > 0 then redis.call('HSET', KEYS[1], name, cjson.encode(row)) end
  local own = first == 0 and row.by == ARGV[1] and not row.delivered
  answers[#answers + 1] = first .. ' ' .. (own and 1 or 0) .. ' ' .. string.format('%.0f %.0f ', row.since, row.due) .. row.mark
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[3]) end
return answers
`);

// KEYS: incidents, due, evicted, spools. ARGV: now, most, lease, longest window, time to live, by, gone. Answers of each whether it is
// over, whether its spool is gone, and the row as it was. What ends later than any window was written before the clock went back.
const ENDED = script(`
local answers, now = {}, tonumber(ARGV[1])
local function give(over, orphaned, text)
  answers[#answers + 1] = (over and '1' or '0') .. (orphaned and '1' or '0')
  answers[#answers + 1] = text
end
redis.call('HSET', KEYS[4], ARGV[6], ARGV[1])
for _ = 1, ARGV[2] / 2 do
  local text = redis.call('LPOP', KEYS[3])
  if not text then break end
  give(true, false, text)
end
local names = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 10 * ARGV[2])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%.0f', now + ARGV[4]), '+inf', 'LIMIT', 0, ARGV[2])) do
  names[#names + 1] = name
end
for _, name in ipairs(names) do
  local text = redis.call('HGET', KEYS[1], name)
  if text then
    local row = cjson.decode(text)
    local over = row.closing or (row.fresh == 0 and not row.lasts)
    local orphaned = now - tonumber(redis.call('HGET', KEYS[4], row.by) or '0') > tonumber(ARGV[7])
    -- What is not delivered is left as it is: its owner takes it with the next look.
    if (row.delivered or row.by == ARGV[6] or orphaned) and #answers < 2 * ARGV[2] then
      give(over, orphaned, text)
      row.due, row.closing = now + ARGV[3], over
      redis.call('HSET', KEYS[1], name, cjson.encode(row))
      redis.call('ZADD', KEYS[2], row.due, name)
    end
  else
    redis.call('ZREM', KEYS[2], name)
  end
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[5]) end
return answers
`);

// KEYS: incidents, due. ARGV: now; then of each: its name, mark, whether it is over, the alerts that were told.
const TOLD = script(`
for i = 2, #ARGV, 4 do
  local text = redis.call('HGET', KEYS[1], ARGV[i])
  local row = text and cjson.decode(text)
  if row and row.mark == ARGV[i + 1] then
    if ARGV[i + 2] == '0' then
      row.fresh, row.due = row.fresh - ARGV[i + 3], ARGV[1] + row.windowMs
      redis.call('HSET', KEYS[1], ARGV[i], cjson.encode(row))
      redis.call('ZADD', KEYS[2], row.due, ARGV[i])
    else
      redis.call('ZREM', KEYS[2], ARGV[i])
      redis.call('HDEL', KEYS[1], ARGV[i])
    end
  end
end
`);

// KEYS: incidents, due. ARGV: names.
const RESOLVE = script(`
for _, name in ipairs(ARGV) do
  local text = redis.call('HGET', KEYS[1], name)
  if text then
    local row = cjson.decode(text)
    row.closing, row.due = true, 0
    redis.call('HSET', KEYS[1], name, cjson.encode(row))
    redis.call('ZADD', KEYS[2], 0, name)
  end
end
`);

// KEYS: incidents. ARGV: of each its name and mark.
const DELIVERED = script(`
for i = 1, #ARGV, 2 do
  local text = redis.call('HGET', KEYS[1], ARGV[i])
  local row = text and cjson.decode(text)
  if row and row.mark == ARGV[i + 1] then
    row.delivered = true
    redis.call('HSET', KEYS[1], ARGV[i], cjson.encode(row))
  end
end
`);

// KEYS: incidents. ARGV: name, the acknowledgement as JSON. Answers the row.
const ACKNOWLEDGE = script(`
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return false end
local row = cjson.decode(text)
row.acknowledged = ARGV[2]
text = cjson.encode(row)
redis.call('HSET', KEYS[1], ARGV[1], text)
return text
`);

const LIST = script(`return redis.call('HVALS', KEYS[1])`);

// KEYS: silences. ARGV: name, row, most, time to live. Answers 0 where there are too many.
const SILENCE = script(`
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`);

// KEYS: silences. ARGV: now. Answers those in force, and forgets the others.
const SILENCES = script(`
local answers, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if cjson.decode(all[i + 1])['until'] <= tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], all[i])
  else answers[#answers + 1] = all[i + 1] end
end
return answers
`);

/** A silence lasts no longer than this. */
const LONGEST_SILENCE_MS = 400 * 24 * 3_600_000;

export function createRedisAlerts(
  connection: RedisConnection,
  {
    incidents,
    incidentsDue: due,
    incidentsEvicted: evicted,
    incidentSpools: spools,
    silences,
  }: Pick<Keys, 'incidents' | 'incidentsDue' | 'incidentsEvicted' | 'incidentSpools' | 'silences'>,
): AlertBoard {
  const rows = async (program: typeof LIST, keys: string[], args: (string | number)[]): Promise<string[]> =>
    (await connection.run(program, keys, args)) as string[];
  return {
    async raise(by, raises, now) {
      if (raises.length === 0) return [];
      const each = raises.flatMap(({ alert, count, windowMs }) => [
        ...[alert.incident, windowMs, count, alert.lasts ? 1 : 0],
        JSON.stringify(alert),
      ]);
      const answers = await rows(
        RAISE,
        [incidents, due, evicted],
        [by, Math.floor(now), TTL_MS, MOST_INCIDENTS, ...each],
      );
      return answers.map((text): Raised => {
        const [first, own, since, ends, mark = ''] = text.split(' ');
        return { first: first === '1', own: own === '1', since: Number(since), due: Number(ends), mark };
      });
    },
    async ended(by, now) {
      const found = await rows(
        ENDED,
        [incidents, due, evicted, spools],
        [Math.floor(now), MOST_ENDED, LEASE_MS, LONGEST_WINDOW_MS, TTL_MS, by, GONE_MS],
      );
      const ended: Ended[] = [];
      for (let i = 0; i < found.length; i += 2) {
        const flags = found[i] ?? '';
        ended.push({
          over: flags[0] === '1',
          orphaned: flags[1] === '1',
          incident: incidentOf(found[i + 1] as string),
        });
      }
      return ended;
    },
    async told(ended, now) {
      if (ended.length === 0) return;
      const each = ended.flatMap(({ incident, over }) => [
        ...[incident.alert.incident, incident.mark, over ? 1 : 0],
        incident.fresh,
      ]);
      await connection.run(TOLD, [incidents, due], [Math.floor(now), ...each]);
    },
    async resolve(names) {
      if (names.length > 0) await connection.run(RESOLVE, [incidents, due], [...names]);
    },
    async delivered(occurrences) {
      const each = occurrences.flatMap(({ incident, mark }) => [incident, mark]);
      if (each.length > 0) await connection.run(DELIVERED, [incidents], each);
    },
    async acknowledge(name, by) {
      const text = await connection.run(ACKNOWLEDGE, [incidents], [name, JSON.stringify(by)]);
      return typeof text === 'string' ? incidentOf(text) : undefined;
    },
    list: async () => (await rows(LIST, [incidents], [])).map(incidentOf),
    async silence(row) {
      const args = [silenceName(row), JSON.stringify(row), MOST_SILENCES, LONGEST_SILENCE_MS];
      return (await connection.run(SILENCE, [silences], args)) === 1;
    },
    silences: async (now) =>
      (await rows(SILENCES, [silences], [Math.floor(now)])).map((text) => JSON.parse(text) as Silence),
  };
}

type Row = Omit<Incident, 'alert' | 'acknowledged'> & { alert: string; acknowledged?: string };

/** The alert and the acknowledgement are texts inside the row: a script would change empty lists and large numbers in them. */
function incidentOf(text: string): Incident {
  const { mark, since, last, due, windowMs, closing, count, fresh, by, delivered, ...row } = JSON.parse(text) as Row;
  return {
    alert: JSON.parse(row.alert) as Incident['alert'],
    ...{ mark, since, last, due, windowMs, closing, count, fresh, by, delivered },
    acknowledged: row.acknowledged === undefined ? null : (JSON.parse(row.acknowledged) as Acknowledgement),
  };
}
