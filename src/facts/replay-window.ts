// inside one handle a JSON-RPC id is used once. Integers live in a sliding window like that of RFC 6479, where
// an id left of the window counts as used. Strings live in a bounded set that, once it is full, retires the handle.
// Either way no id is let through because its use was forgotten.
import { createHash } from 'node:crypto';
import type { RpcId } from './port.ts';
import { INTEGERS, LONGEST_STRING, STRINGS } from './replay-limits.ts';
import { type Use, UsedIntegers } from './used-integers.ts';

/** The ids that were used in one handle. `highest` is the highest integer so far, or -1. */
export interface ReplayWindow {
  /** By remainder, the newest integer that was used. */
  readonly integers: UsedIntegers;
  highest: number;
  /** Made when the first string is used: most clients number their requests. */
  strings: Map<string, Use> | undefined;
  /** The ids that were used before this window began are not known. */
  readonly lost: boolean;
  /** The first integer that was used after that: what is below it may have been used before. */
  floor: number | undefined;
}

/** Whether the id had been used before. `first` is its first use, or null when that is not remembered. */
export type UseResult = { seen: false } | { seen: true; first: Use | null };

/** Under which a string id is remembered: itself, or its hash when it is long. */
export const stringKey = (id: string): string =>
  id.length <= LONGEST_STRING ? id : createHash('sha256').update(id).digest('base64');

/** An empty window, for a new handle. */
export function createReplayWindow(lost = false): ReplayWindow {
  return { integers: new UsedIntegers(INTEGERS), highest: -1, strings: undefined, lost, floor: undefined };
}

/** Whether an id lives in the sliding window; every other id is remembered as a string. */
export const isWindowed = (id: RpcId): id is number => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0;

/**
 * Uses an id up. An id that is too old for the window, or a string that the full set cannot hold, counts as used, with
 * `first` null.
 */
export function useId(window: ReplayWindow, id: RpcId, use: Use): UseResult {
  return isWindowed(id) ? useInteger(window, id, use) : useString(window, `${typeof id}:${id}`, use);
}

/** Whether the set of strings is full. Such a window cannot tell a new string from a replay any more. */
export function exhausted(window: ReplayWindow): boolean {
  return (window.strings?.size ?? 0) >= STRINGS;
}

function useInteger(window: ReplayWindow, id: number, use: Use): UseResult {
  // Looked up first: a slot is overwritten by a newer number only, so it may still hold the first use of an id that
  // is left of the window by now. Where that was decides whether a replay came from another network.
  const held = window.integers.get(id);
  if (held) return { seen: true, first: held };
  if (id <= window.highest - INTEGERS || id < (window.floor ?? 0)) return { seen: true, first: null };
  if (window.lost) window.floor ??= id;
  window.integers.set(id, use);
  window.highest = Math.max(window.highest, id);
  return { seen: false };
}

function useString(window: ReplayWindow, id: string, use: Use): UseResult {
  const key = stringKey(id);
  const first = window.strings?.get(key);
  if (first) return { seen: true, first };
  if (exhausted(window)) return { seen: true, first: null };
  window.strings ??= new Map();
  window.strings.set(key, use);
  return { seen: false };
}
