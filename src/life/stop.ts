// How a connector stops. Everything from the signal to the end stays inside one bound, because whoever has sent the signal
// kills the process after a while, and what it was doing then is lost without a word.
import { within } from '../core/within.ts';

/** What is stopped, in the order in which it is used. */
export interface StopParts {
  /** From now on the process says that it is not ready, and that connections end with their next answer. */
  retreat(): void;
  /** Takes no more connections and requests. Resolves when the last connection is closed. */
  closeDoor(): Promise<void>;
  /** Resolves when no call is under way. */
  settled(): Promise<void>;
  /** Ends the calls that are under way; each is still answered, and on record as cut short. Answers how many there were. */
  cutShort(): number;
  cutConnections(): void;
  /** Logs out what nobody will use any more. */
  endSessions(): Promise<void>;
  /** Records how the process ended, and closes what is left. */
  last(ended: StopReport): Promise<void>;
}

/** How it went: the calls that were cut short, and whether every session could be ended. */
export interface StopReport {
  calls_cut: number;
  sessions_ended: boolean;
}

/** Times in milliseconds: how long it still takes calls although it is not ready, and all of it together. */
export interface StopTimes {
  delayMs: number;
  boundMs: number;
}

/** A stop that has begun. */
export interface Stop {
  readonly ended: Promise<void>;
  /** Waits for nothing any more: calls under way are cut short now. */
  hurry(): void;
}

/** Most time that is kept for cutting calls short, logging out and the last record; a quarter of a short bound. */
const RESERVE_MS = 5000;
/** Of that, for the last record: a tenth of it. */
const LAST = 10;

export function beginStop(parts: StopParts, { delayMs, boundMs }: StopTimes): Stop {
  let end = performance.now() + boundMs;
  const reserve = Math.min(RESERVE_MS, boundMs / 4);
  const last = reserve / LAST;
  const left = (kept: number) => Math.max(0, end - performance.now() - kept);
  let over = false;
  let hurry = () => {};
  const hurried = new Promise<void>((resolve) => {
    hurry = resolve;
  });

  async function stop(): Promise<void> {
    parts.retreat();
    if (delayMs > 0) await within(hurried, Math.min(delayMs, left(reserve)));
    const closed = parts.closeDoor();
    // A request that is still being read may become a call as long as its connection is open.
    const quiet = closed.then(parts.settled).then(() => {
      over = true;
    });
    await within(Promise.race([quiet, hurried]), left(reserve));
    const cut = over ? 0 : parts.cutShort();
    if (cut > 0) await within(quiet, left(reserve / 2));
    // Whoever has not read his answer by now has had his time.
    if (!over) parts.cutConnections();
    const ended = await within(parts.endSessions(), left(last));
    await within(parts.last({ calls_cut: cut, sessions_ended: ended }), Math.max(last, left(0)));
  }
  return {
    ended: stop(),
    hurry() {
      end = Math.min(end, performance.now() + reserve);
      hurry();
    },
  };
}
