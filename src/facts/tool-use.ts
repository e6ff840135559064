// How often a client was let use a tool in the last 90 days: when the last such call ended, and the calls of each three
// days that had any.
import { wholeSeconds } from '../core/clock.ts';
import type { UsageFacts } from '../decision/schema.ts';

/** Calls are counted in slots of three days, so that a row has at most thirty. In milliseconds. */
export const SLOT_MS = 3 * 86_400_000;
/** Ninety days. */
export const SLOTS = 30;
/** Most tools that are remembered of one client. The one not used for the longest time gives way. */
export const MAX_TOOLS = 256;
/** How long a row is kept after its last use, in milliseconds. */
export const KEEP_MS = (SLOTS + 1) * SLOT_MS;

/** A row: `last` in milliseconds since 1970, and the calls of each slot, counted from 1970. */
export interface ToolUse {
  last: number;
  slots: [slot: number, calls: number][];
}

/**
 * Reads a row of a shared store, such as `1795424400000 6926:3 6927:1`: the last call, then each slot with its calls.
 * Undefined for none and for one that makes no sense, which is as if nothing were remembered.
 */
export function parseUse(text: string | null | undefined): ToolUse | undefined {
  if (!text || !/^\d+( \d+:\d+)*$/.test(text)) return undefined;
  const [last = '', ...slots] = text.split(' ');
  return { last: Number(last), slots: slots.map((slot) => slot.split(':').map(Number) as [number, number]) };
}

/**
 * The row with `calls` more, the last of which ended at `at`. Slots that are 90 days older than the newest are dropped; the
 * newest may be of another replica, whose clock is ahead, or of a call that was told before this one.
 */
export function withCalls(use: ToolUse | undefined, calls: number, at: number): ToolUse {
  const slot = Math.floor(at / SLOT_MS);
  const [newestKnown] = use?.slots.slice(-1) ?? [];
  if (use && newestKnown?.[0] === slot) {
    const slots = use.slots.with(-1, [slot, newestKnown[1] + calls]);
    return { last: Math.max(use.last, at), slots };
  }
  const slots = new Map(use?.slots ?? []);
  slots.set(slot, (slots.get(slot) ?? 0) + calls);
  const newest = Math.max(...slots.keys());
  return { last: Math.max(use?.last ?? 0, at), slots: [...slots].filter(([old]) => old > newest - SLOTS).slice() };
}

/** The facts of a row. */
export function useFacts(use: ToolUse | undefined, now: number): NonNullable<UsageFacts['tool']> {
  const oldest = Math.floor(now / SLOT_MS) - SLOTS;
  const calls = (use?.slots ?? []).reduce((sum, [slot, count]) => (slot > oldest ? sum + count : sum), 0);
  return { calls_90d: calls, last_seconds: use && calls > 0 ? wholeSeconds(Math.max(0, now - use.last)) : null };
}
