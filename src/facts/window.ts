// A sliding window of counts in slots. Only slots with events take memory, because most clients are idle most of the time.

/** How many slots a window has. */
export const SLOTS = 60;

/** Counts of the newest slots; see `count`. */
export interface Window {
  /** Number and events of each slot that has any, oldest first; slots are counted from 1970. */
  counts: number[];
  newest: number;
  total: number;
}

/** An empty window. */
export const createWindow = (): Window => ({ counts: [], newest: 0, total: 0 });

/**
 * Moves the window to `now`, adds `events`, and returns the events inside it. Time that goes back counts as now. Slots
 * are `slotMs` milliseconds long, always the same for one window.
 */
export function count(window: Window, slotMs: number, now: number, events: number): number {
  const { counts } = window;
  window.newest = Math.max(window.newest, Math.floor(now / slotMs));
  let over = 0;
  while (over < counts.length && (counts[over] as number) <= window.newest - SLOTS) {
    window.total -= counts[over + 1] as number;
    over += 2;
  }
  if (over > 0) counts.splice(0, over);
  if (events === 0) return window.total;
  const last = counts.length - 2;
  if (counts[last] === window.newest) counts[last + 1] = (counts[last + 1] as number) + events;
  // What is joined has room for what is in it; an array that is pushed to begins with room for seventeen.
  else window.counts = counts.concat(window.newest, events);
  window.total += events;
  return window.total;
}
