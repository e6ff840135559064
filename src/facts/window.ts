// Counts the events of a sliding window in a fixed number of slots, so that it needs the same memory whatever the
// rate.

/** The events of each slot, in a ring: slot n is at n mod the number of slots. `total` is the sum of all. */
export interface Window {
  readonly slotMs: number;
  readonly counts: number[];
  /** Number of the newest slot, counted from 1970 in steps of `slotMs`. */
  newest: number;
  total: number;
}

/** An empty window of `slots` times `slotMs` milliseconds. */
export function createWindow(slots: number, slotMs: number): Window {
  return { slotMs, counts: new Array<number>(slots).fill(0), newest: 0, total: 0 };
}

/** Moves the window to `now`, adds `events`, and returns the events inside it. */
export function count(window: Window, now: number, events: number): number {
  const { counts } = window;
  const slot = Math.max(window.newest, Math.floor(now / window.slotMs));
  const passed = Math.min(slot - window.newest, counts.length);
  for (let i = 1; i <= passed; i++) {
    const at = (window.newest + i) % counts.length;
    window.total -= counts[at] as number;
    counts[at] = 0;
  }
  if (passed === counts.length) {
    counts.fill(0);
    window.total = 0;
  }
  window.newest = slot;
  counts[slot % counts.length] = (counts[slot % counts.length] as number) + events;
  window.total += events;
  return window.total;
}
