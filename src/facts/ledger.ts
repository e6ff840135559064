// What is remembered about one client, and how a call changes it. The functions change nothing but the ledger they
// are given. Windows, networks and handles are bounded, whatever the client sends.
import { wholeSeconds } from '../core/clock.ts';
import type { SessionRecord } from '../session/record.ts';
import type { CallEnding, Facts, HandleState, Observation } from './port.ts';
import { MAX_HANDLES, MAX_NETWORKS } from './replay-limits.ts';
import { createReplayWindow, exhausted, type ReplayWindow, type UseResult, useId } from './replay-window.ts';
import { count, createWindow, type Window } from './window.ts';

/** A call that has not ended after this time, in milliseconds, is given up: its replica must be gone. */
export const LONGEST_CALL_MS = 900_000;
/** Slots of the window of a minute, and of those of an hour. */
const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** One network that a client has called from. */
interface Place {
  readonly network: string;
  readonly calls: Window;
  lastSeen: number;
  /** When the client last came back to it, from which network of the same family, and how long it had been away. */
  returned: { at: number; awayMs: number; from: string } | undefined;
  /**
   * Calls from there that were not refused because of the place itself. A call counts from its beginning, unless every
   * one before was refused: who tries in vain from elsewhere must not shut the owner out while he tries.
   */
  taken: number;
}

/** The memory of one client. Times are in milliseconds since 1970. */
export interface Ledger {
  readonly minute: Window;
  readonly hour: Window;
  /** Made when the first call is denied. */
  denials: Window | undefined;
  /** The calls under way, oldest first: when each began, and the network that it does not count for yet. */
  inFlight: readonly { call: string; began: number; untaken: string | undefined }[];
  lastCall: number | null;
  /** The networks of the last hour; the one that was used last stands last. */
  places: readonly Place[];
  /** The last call from a network that had to make room for others, in milliseconds since 1970. */
  droppedLast: number | null;
  /** The replay window of each handle. The handle that was used last stands last. */
  handles: readonly { handle: string; window: ReplayWindow }[];
  /** Whether a handle was forgotten or used up, so that none goes on without its history any more. */
  handlesGone: boolean;
  /** How the session with each backend was used. */
  sessions: readonly { backend: string; id: string; login: number; uses: number; lastUsed: number }[];
}

const NONE: readonly never[] = [];

/** The ledger of a client that has not called yet. */
export function createLedger(): Ledger {
  return {
    minute: createWindow(),
    hour: createWindow(),
    denials: undefined,
    inFlight: NONE,
    lastCall: null,
    places: NONE,
    droppedLast: null,
    handles: NONE,
    handlesGone: false,
    sessions: NONE,
  };
}

/** The facts that the ledger itself can tell. The store adds the session that it holds. */
export type LedgerFacts = Omit<Facts, 'storedSession'>;

/** Counts one call and returns the facts with it included. */
export function observe(
  ledger: Ledger,
  observation: Observation,
  record: SessionRecord | undefined,
  now: number,
): LedgerFacts {
  dropDead(ledger, now);
  const { networks, dropped, untaken } = seeNetwork(ledger, observation.network, now);
  const call = { call: observation.call, began: now, untaken: untaken ? observation.network : undefined };
  ledger.inFlight = ledger.inFlight.concat(call);
  const sinceLastCall = ledger.lastCall === null ? null : wholeSeconds(now - ledger.lastCall);
  ledger.lastCall = now;
  return {
    usage: {
      calls_1m: count(ledger.minute, SECOND_MS, now, 1),
      calls_1h: count(ledger.hour, MINUTE_MS, now, 1),
      denials_1h: ledger.denials ? count(ledger.denials, MINUTE_MS, now, 0) : 0,
      in_flight: ledger.inFlight.length,
      seconds_since_last_call: sinceLastCall,
      networks,
      ...(dropped !== null && { networks_dropped_seconds: wholeSeconds(now - dropped) }),
      // This ledger is lost only when the process ends, and the sessions it knew of are lost with it.
      forgotten: false,
    },
    replay: replayFacts(ledger, observation, now),
    now,
    session: record ? useSession(ledger, record, now) : null,
  };
}

/** Notes that the call has ended. `denied` counts it as a denial; see `FactsPort.finished`. */
export function finish(ledger: Ledger, call: string, { denied, refusedPlace }: CallEnding, now: number): void {
  const known = ledger.inFlight.find((each) => each.call === call);
  if (known) ledger.inFlight = ledger.inFlight.filter((each) => each !== known);
  const untaken = known?.untaken;
  if (denied) {
    ledger.denials ??= createWindow();
    count(ledger.denials, MINUTE_MS, now, 1);
  }
  const network = refusedPlace ?? untaken;
  const place = known && ledger.places.find((each) => each.network === network);
  if (place && untaken !== undefined && refusedPlace === undefined) place.taken += 1;
  else if (place && untaken === undefined && place.taken > 0) place.taken -= 1;
}

/** Names of the calls under way. */
export function underWay(ledger: Ledger, now: number): string[] {
  dropDead(ledger, now);
  return ledger.inFlight.map(({ call }) => call);
}

function dropDead(ledger: Ledger, now: number): void {
  const [oldest] = ledger.inFlight;
  if (oldest && now - oldest.began >= LONGEST_CALL_MS)
    ledger.inFlight = ledger.inFlight.filter(({ began }) => now - began < LONGEST_CALL_MS);
}

/** Remembers a new handle. When there are too many, those that were not used for the longest time are forgotten. */
export function openHandle(ledger: Ledger, handle: string, lost = false): void {
  ledger.handlesGone ||= ledger.handles.length >= MAX_HANDLES;
  ledger.handles = ledger.handles.slice(1 - MAX_HANDLES).concat({ handle, window: createReplayWindow(lost) });
}

/**
 * Whether the handle is remembered and can still tell a replay. Asking counts as a use of the handle. `present`: it was
 * minted in this epoch, so if it is not remembered it never will be.
 */
export function handleState(ledger: Ledger, handle: string, present: boolean): HandleState {
  const named = (each: Ledger['handles'][number]) => each.handle === handle;
  if (!present && !ledger.handlesGone && !ledger.handles.some(named)) openHandle(ledger, handle, true);
  const known = ledger.handles.find(named);
  const usedUp = known !== undefined && exhausted(known.window);
  ledger.handlesGone ||= usedUp;
  if (!known || usedUp) return 'unknown';
  // An idle handle gives way to new ones first.
  ledger.handles = withLast(ledger.handles, known);
  return 'known';
}

function seeNetwork(ledger: Ledger, network: string, now: number) {
  const before = ledger.places.find((place) => place.network === network);
  const here = before ?? { network, calls: createWindow(), lastSeen: now, returned: undefined, taken: 0 };
  const beforeSeen = here.lastSeen;
  const last = ledger.places.findLast((place) => sameFamily(place.network, network));
  if (before && last && last !== before) here.returned = { at: now, awayMs: now - beforeSeen, from: last.network };
  const untaken = before?.taken === 0;
  count(here.calls, MINUTE_MS, now, 1);
  here.lastSeen = now;
  if (!untaken) here.taken += 1;
  const recent = withLast(ledger.places, here).filter(({ lastSeen }) => now - lastSeen <= HOUR_MS);
  for (const { lastSeen } of recent.slice(0, -MAX_NETWORKS))
    ledger.droppedLast = Math.max(ledger.droppedLast ?? 0, lastSeen);
  ledger.places = recent.slice(-MAX_NETWORKS);
  const networks: Facts['usage']['networks'] = ledger.places
    .map(({ network: name, calls, lastSeen, returned, taken }) => ({
      network: name,
      calls: count(calls, MINUTE_MS, now, 0),
      last_seen_seconds: wholeSeconds(now - (name === network ? beforeSeen : lastSeen)),
      ...(returned && {
        returned_seconds: wholeSeconds(now - returned.at),
        away_seconds: wholeSeconds(returned.awayMs),
        returned_from: returned.from,
      }),
      ...(taken === 0 && { refused: true as const }),
    }))
    .reverse();
  const { droppedLast } = ledger;
  return { networks, dropped: droppedLast !== null && now - droppedLast <= HOUR_MS ? droppedLast : null, untaken };
}

const sameFamily = (a: string, b: string): boolean => a.includes(':') === b.includes(':');

function replayFacts(ledger: Ledger, { rpc, network }: Observation, now: number): Facts['replay'] {
  if (rpc === null) return { source: null, seen: false, first_seen_seconds: null, same_network: null, history: null };
  const window = ledger.handles.find(({ handle }) => handle === rpc.handle)?.window;
  // A handle that was forgotten since it was looked up cannot prove that an id is new, so the id counts as used.
  const result: UseResult = window ? useId(window, rpc.id, { at: now, network }) : { seen: true, first: null };
  const first = result.seen ? result.first : null;
  return {
    source: 'rpc_id',
    seen: result.seen,
    first_seen_seconds: first && wholeSeconds(now - first.at),
    same_network: first && first.network === network,
    history: !window || window.lost ? 'lost' : 'complete',
  };
}

/**
 * The login counts as the first use of its backend token, at the time of the login. So a session is idle from its
 * login on, and a session whose last use was forgotten here does not look younger for it.
 */
function useSession(ledger: Ledger, record: SessionRecord, now: number): NonNullable<Facts['session']> {
  const { backend, id, login, issuedAt } = record;
  const known = ledger.sessions.find((each) => each.backend === backend);
  const same = known?.id === id ? known : undefined;
  // A new generation of the same login is a renewal by the backend: its uses go on.
  const uses = same?.login === login ? same.uses : 1;
  const lastUsed = Math.max(same?.lastUsed ?? 0, issuedAt);
  const others = known ? ledger.sessions.filter((each) => each !== known) : ledger.sessions;
  ledger.sessions = others.concat({ backend, id, login, uses: uses + 1, lastUsed: now });
  return { idle_seconds: wholeSeconds(now - lastUsed), token_uses: uses };
}

/** The entries with this one last, as the one used last. Most clients have one of each, and nothing to move. */
const withLast = <T>(entries: readonly T[], entry: T): readonly T[] =>
  entries.at(-1) === entry ? entries : entries.filter((each) => each !== entry).concat(entry);
