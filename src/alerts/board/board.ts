// Which incidents are open, over all replicas: the port. An incident begins with the first alert of its kind about a client and
// session, goes on while more come, and is over when a whole window brought none. Of all replicas one is told that it was the
// first, and one that a window has ended.
import type { Alert } from '../alert.ts';

/** Somebody has the incident: while it goes on, nobody is told again. Times are milliseconds since 1970. */
export interface Acknowledgement {
  operator: string;
  reason: string;
  at: number;
}

export interface Incident {
  alert: Alert;
  /** Tells this incident from earlier ones of the same name. What is told of it has an id that is made of this. */
  mark: string;
  /** Times in milliseconds since 1970: of the first alert and of the last, and when the present window ends. */
  since: number;
  last: number;
  due: number;
  windowMs: number;
  /** It is being told to be over; an alert that comes now begins another one. */
  closing: boolean;
  /** Alerts in all, and those since the last message. */
  count: number;
  fresh: number;
  /** The spool that has the first alert, and whether all its receivers have taken it. */
  by: string;
  delivered: boolean;
  acknowledged: Acknowledgement | null;
}

/** Alerts of one incident that happened at one replica; `count` may be 0, to ask only. */
export interface Raise {
  alert: Alert;
  count: number;
  windowMs: number;
}

/** `first`: there was no such incident. `own`: this spool has its first alert, and has not told of it yet. */
export interface Raised extends Pick<Incident, 'since' | 'due' | 'mark'> {
  first: boolean;
  own: boolean;
}

/**
 * A window that has ended. `over`: it brought nothing, so the incident is to be closed. `orphaned`: the process that has its first
 * alert has not been heard of for a minute.
 */
export interface Ended {
  incident: Incident;
  over: boolean;
  orphaned: boolean;
}

/** One incident among those of its name. */
export interface Occurrence {
  incident: string;
  mark: string;
}

/** No alert of such a code, and of this client where one is named, is delivered until then. */
export interface Silence {
  /** A code, a beginning of codes with ".*", or "*". */
  codes: string;
  client: string | null;
  operator: string;
  reason: string;
  /** Milliseconds since 1970. */
  since: number;
  until: number;
}

/** All methods reject when what is behind it does not answer. `now`: milliseconds since 1970, on a clock that replicas share. */
export interface AlertBoard {
  /** Counts alerts, and opens incidents; answers in the order that was given. */
  raise(by: string, raises: readonly Raise[], now: number): Promise<Raised[]>;
  /**
   * Takes incidents whose window has ended, or that were said to be over, at most 100. Each is given to one caller, and to another
   * one where the first has not said within ten seconds that it is done with it. One whose first alert has not been delivered is
   * given to the spool that has it, and to others only when that is gone: who is told of the end first would never hear the end.
   */
  ended(by: string, now: number): Promise<Ended[]>;
  /** What was taken is kept to be told: closes what is over, and begins the next window of the others. */
  told(ended: readonly Ended[], now: number): Promise<void>;
  /** They are over: the next who asks for what has ended is given them. */
  resolve(incidents: readonly string[]): Promise<void>;
  /** Notes that the first alerts of these were taken by all their receivers. */
  delivered(occurrences: readonly Occurrence[]): Promise<void>;
  /** Undefined where there is no such incident. */
  acknowledge(incident: string, by: Acknowledgement): Promise<Incident | undefined>;
  list(): Promise<Incident[]>;
  /** In place of one with the same codes and client; one that is over ends it. Answers false where there are too many. */
  silence(row: Silence): Promise<boolean>;
  /** Those that are in force. */
  silences(now: number): Promise<Silence[]>;
}

/** Most incidents that are open at the same time: beyond it the one whose window ends first, and that is no state, is over. */
export const MOST_INCIDENTS = 10_000;
/** Most silences. */
export const MOST_SILENCES = 200;
/** Most windows that are taken at once. */
export const MOST_ENDED = 100;

/** A spool that has asked nothing for so long is gone, in milliseconds. */
export const GONE_MS = 60_000;
/** How long whoever takes the end of a window has to keep it to be told, in milliseconds. */
export const LEASE_MS = 10_000;
/** No window is longer, in milliseconds: what ends later than that was written before the clock went back. */
export const LONGEST_WINDOW_MS = 86_400_000;

/** By what a silence is found again. */
export const silenceName = ({ codes, client }: Pick<Silence, 'codes' | 'client'>): string =>
  JSON.stringify([codes, client]);

/** A new incident. */
export const opened = (by: string, { alert, count, windowMs }: Raise, now: number, mark: string): Incident => ({
  ...{ alert, mark, windowMs, by, count: Math.max(1, count), fresh: Math.max(0, count - 1) },
  ...{ since: now, last: now, due: now + windowMs, closing: false, delivered: false, acknowledged: null },
});
