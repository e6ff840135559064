// inside one handle a JSON-RPC id is used once. Integers live in a sliding window like the
// one of RFC 6479 (anything left of the window counts as seen); strings in a bounded set that, once
// full, retires the handle. Both ways nothing is ever allowed because it was forgotten.
import { createHash } from 'node:crypto';
import type { RpcId } from './port.ts';
import { INTEGERS, LONGEST_STRING, STRINGS } from './replay-limits.ts';

interface Use {
  at: number;
  network: string;
}

export interface ReplayWindow {
  /** Slot i holds the newest integer n with n mod INTEGERS = i. */
  readonly integers: ({ id: number } & Use)[];
  highest: number;
  readonly strings: Map<string, Use>;
}

export type UseResult = { seen: false } | { seen: true; first: Use | null };

/** Under which a string id is remembered: itself, or its hash when it is long. */
export const stringKey = (id: string): string =>
  id.length <= LONGEST_STRING ? id : createHash('sha256').update(id).digest('base64');

export function createReplayWindow(): ReplayWindow {
  return { integers: [], highest: -1, strings: new Map() };
}

/** Whether an id lives in the sliding window; every other id is remembered as a string. */
export const isWindowed = (id: RpcId): id is number => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0;

/** Uses an id up. `first` is null when the id is too old for its first use to be remembered. */
export function useId(window: ReplayWindow, id: RpcId, use: Use): UseResult {
  return isWindowed(id) ? useInteger(window, id, use) : useString(window, `${typeof id}:${id}`, use);
}

/** A window that can take no further string cannot tell a replay any more. */
export function exhausted(window: ReplayWindow): boolean {
  return window.strings.size >= STRINGS;
}

function useInteger(window: ReplayWindow, id: number, use: Use): UseResult {
  // Looked up first: a slot is overwritten by a newer number only, so it may still hold the first use of an id that
  // is left of the window by now. Where that was decides whether a replay came from another network.
  const held = window.integers[id % INTEGERS];
  if (held?.id === id) return { seen: true, first: held };
  if (id <= window.highest - INTEGERS) return { seen: true, first: null };
  window.integers[id % INTEGERS] = { id, ...use };
  window.highest = Math.max(window.highest, id);
  return { seen: false };
}

function useString(window: ReplayWindow, id: string, use: Use): UseResult {
  const key = stringKey(id);
  const first = window.strings.get(key);
  if (first) return { seen: true, first };
  if (exhausted(window)) return { seen: true, first: null };
  window.strings.set(key, use);
  return { seen: false };
}
