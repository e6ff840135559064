// Which evaluations get a limit of time. A limit costs twice what a decision costs, so the calls that need none get none:
// only a large input, and a tool whose decisions have been slow, can make a rule run away.

/** Largest input that is evaluated without a limit, in bytes. The arguments are only a part of it. */
export const LARGE_BYTES = 4096;
/** Most bytes that a character of a JavaScript string becomes in UTF-8. */
const WIDEST = 3;
/** An evaluation that took this part of the limit puts its tool under it. */
const SLOW_PART = 5;
/** For how many evaluations a tool stays under the limit after the last slow one. */
const STAYS = 1000;

export interface Care {
  /** Whether this input of the tool, as text, gets a limit. */
  needed(tool: string, text: string): boolean;
  /** Whether that many nanoseconds are more than a decision takes. */
  isSlow(nanoseconds: number): boolean;
  /** Told how long each evaluation of a tool took, in nanoseconds. */
  took(tool: string, nanoseconds: number): void;
}

/** `limitMs`: the limit in milliseconds. `always`: whether every input gets it at present. */
export function createCare(limitMs: number, always: () => boolean): Care {
  const slow = new Map<string, number>();
  const slowNs = (limitMs * 1e6) / SLOW_PART;
  return {
    needed: (tool, text) => always() || isLarge(text) || (slow.size > 0 && slow.has(tool)),
    isSlow: (nanoseconds) => nanoseconds > slowNs,
    took(tool, nanoseconds) {
      // One that was cut, or would have been, is under the limit for good.
      if (nanoseconds >= limitMs * 1e6) slow.set(tool, Number.POSITIVE_INFINITY);
      else if (nanoseconds > slowNs) slow.set(tool, Math.max(STAYS, slow.get(tool) ?? 0));
      else if (slow.size > 0) {
        const left = (slow.get(tool) ?? 1) - 1;
        if (left > 0) slow.set(tool, left);
        else slow.delete(tool);
      }
    },
  };
}

/** Whether an input is one that can make a rule run away by its size. */
export const isLarge = (text: string): boolean =>
  text.length > LARGE_BYTES || (text.length * WIDEST > LARGE_BYTES && Buffer.byteLength(text) > LARGE_BYTES);
