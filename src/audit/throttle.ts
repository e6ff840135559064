// Bounds how many records strangers can cause: refused credentials cost nothing to send, and must
// not fill the disk that decisions are written to. What is left out is counted in the next record.
import { BoundedCache } from '../core/bounded-cache.ts';

export interface Throttle {
  /** Number of records left out since the last one when this one may be written, else undefined. */
  admit(now: number): number | undefined;
}

export function createThrottle(perSecond: number): Throttle {
  let second = 0;
  let admitted = 0;
  let suppressed = 0;
  return {
    admit(now) {
      const current = Math.floor(now / 1000);
      if (current !== second) [second, admitted] = [current, 0];
      if (admitted >= perSecond) {
        suppressed += 1;
        return undefined;
      }
      admitted += 1;
      const left = suppressed;
      suppressed = 0;
      return left;
    },
  };
}

export interface OncePerMinute {
  /** True for the first of a kind in a minute. */
  admit(kind: string, now: number): boolean;
}

const KINDS = 1000;

/** Deduplicates alerts: somebody reads them. Noise of many kinds makes it forget, never hold back. */
export function createOncePerMinute(): OncePerMinute {
  const last = new BoundedCache<string, number>(KINDS);
  return {
    admit(kind, now) {
      const before = last.get(kind);
      if (before !== undefined && now - before < 60_000) return false;
      last.set(kind, now);
      return true;
    },
  };
}
