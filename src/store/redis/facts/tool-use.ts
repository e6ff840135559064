// Use of tools in Redis, in a key of its own for each client: it lives longer than the ledger, and may be dropped to make
// room. The first use is told at once; then a replica adds up what it has seen and tells it once a minute, so that a call
// costs no command more.
import { BoundedCache } from '../../../core/bounded-cache.ts';
import { KEEP_MS, MAX_TOOLS, parseUse, SLOT_MS, SLOTS, type ToolUse, withCalls } from '../../../facts/tool-use.ts';
import type { ClientRef } from '../../../identity/client.ts';
import { type RedisConnection, script } from '../connection.ts';
import type { Keys } from '../keys.ts';

/** How long counts are kept here before they are told, in milliseconds. */
const TELL_MS = 60_000;
/** Most rows with counts that are not told yet. A row that gives way is told too late by what it had. */
const PENDING = 10_000;

// KEYS: the tools of a client. ARGV: tool, calls, time of the last one. Adds them to its row.
const USE = script(`
local tool, calls, at = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local slot = math.floor(at / ${SLOT_MS})
local text = redis.call('HGET', KEYS[1], tool) or ''
local last = math.max(tonumber(string.match(text, '^(%d+)')) or 0, at)
local newest, slots = slot, {}
for old, count in string.gmatch(text, ' (%d+):(%d+)') do
  old, count = tonumber(old), tonumber(count)
  newest = math.max(newest, old)
  if old == slot then calls = calls + count else slots[#slots + 1] = { old, count } end
end
slots[#slots + 1] = { slot, calls }
local parts = { string.format('%.0f', last) }
for _, each in ipairs(slots) do
  if each[1] > newest - ${SLOTS} then parts[#parts + 1] = string.format('%.0f:%.0f', each[1], each[2]) end
end
redis.call('HSET', KEYS[1], tool, table.concat(parts, ' '))
redis.call('PEXPIRE', KEYS[1], ${KEEP_MS})
if redis.call('HLEN', KEYS[1]) > ${MAX_TOOLS} then
  local oldest, name
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local used = tonumber(string.match(all[i + 1], '^(%d+)')) or 0
    if not oldest or used < oldest then oldest, name = used, all[i] end
  end
  redis.call('HDEL', KEYS[1], name)
end
return 1
`);

/** What this replica knows of uses that the store may not know yet. */
export interface ToolUses {
  /** Notes a call that was let through and has ended at `at`. Never rejects: such a count may be lost. */
  used(owner: ClientRef, tool: string, at: number): void;
  /** Tells what has waited for a minute at `now`; without it, everything, because the process ends. */
  flush(now?: number): void;
  /** The row of the store, with what is not told yet. */
  read(owner: ClientRef, tool: string, row: string | null): ToolUse | undefined;
}

interface Pending {
  owner: ClientRef;
  tool: string;
  calls: number;
  last: number;
  toldAt: number;
}

export function createToolUses(connection: RedisConnection, keys: Pick<Keys, 'tools'>): ToolUses {
  const pending = new BoundedCache<string, Pending>(PENDING);
  const nameOf = (owner: ClientRef, tool: string) => `${owner} ${tool}`;
  const tell = ({ owner, tool, calls, last }: Pending): void => {
    connection.run(USE, [keys.tools(owner)], [tool, calls, Math.floor(last)]).catch(() => {
      const name = nameOf(owner, tool);
      const since = pending.get(name);
      if (since) pending.set(name, { ...since, calls: since.calls + calls });
    });
  };
  return {
    used(owner, tool, at) {
      const name = nameOf(owner, tool);
      const known = pending.get(name);
      if (known && at - known.toldAt < TELL_MS && at >= known.toldAt) {
        pending.set(name, { ...known, calls: known.calls + 1, last: at });
        return;
      }
      // What was not told yet is told by its own time: it may be of another slot.
      if (known && known.calls > 0) tell(known);
      const first = { owner, tool, calls: 0, last: at, toldAt: at };
      pending.set(name, first);
      tell({ ...first, calls: 1 });
    },
    flush(now) {
      for (const [name, known] of pending) {
        if (known.calls === 0 || (now !== undefined && now - known.toldAt < TELL_MS)) continue;
        pending.set(name, { ...known, calls: 0, toldAt: now ?? known.last });
        tell(known);
      }
    },
    read(owner, tool, row) {
      const use = parseUse(row);
      const own = pending.get(nameOf(owner, tool));
      return own && own.calls > 0 ? withCalls(use, own.calls, own.last) : use;
    },
  };
}
