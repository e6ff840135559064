// Bounds how many records strangers can cause. Requests with bad credentials cost nothing to send and must not
// fill the disk that decisions are written to. The next record says how many were left out.
import { BoundedCache } from '../../core/bounded-cache.ts';

/** Admits a limited number of records a second. */
export interface Throttle {
  /**
   * Answers undefined when this record must be left out, otherwise how many were left out since the last admitted
   * one. `now` is in milliseconds since 1970.
   */
  admit(now: number): number | undefined;
}

/** Creates a throttle that admits `perSecond` records in each second. */
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

/** Admits one event of each kind a minute. */
export interface OncePerMinute {
  /**
   * True unless an event of this kind was admitted less than a minute ago. `now` is in milliseconds since 1970.
   */
  admit(kind: string, now: number): boolean;
}

/** Most kinds that are remembered. */
const KINDS = 1000;

/**
 * Deduplicates alerts, because people read them. With very many kinds the oldest is forgotten, so an alert may be
 * repeated but is never suppressed wrongly.
 */
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
