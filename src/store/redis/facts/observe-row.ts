// The answer of the OBSERVE script, which is a list, with names.
import type { SessionRecord } from '../../../session/record.ts';
import { parseRow } from '../sessions/row.ts';

/** What the OBSERVE script answers. Times are in milliseconds since 1970. */
export interface ObserveRow {
  counts: [minute: number, hour: number, denials: number, inFlight: number];
  /** Milliseconds since the last call, or -1 when there was none. */
  sinceMs: number;
  /** Whether there was a ledger, last used under the epoch that this replica knows. */
  known: boolean;
  /** The epoch in which the session that was observed last had logged in; '' when there was none. */
  trusted: string;
  seen: boolean;
  /** -1 when the first use is not remembered. */
  firstAt: number;
  firstNetwork: string;
  record: SessionRecord | undefined;
  /** There is a row that makes no sense. */
  damaged: string | undefined;
  revocations: number;
  uses: number;
  /** When the session was last used before this call. */
  idleFrom: number;
  now: number;
  /** Whether the history of the handle was lost. */
  lost: boolean;
  /** Numbers that only grow: of the calls of the client, and of the uses of the handle. */
  number: number;
  handleNumber: number;
  /** Whether something was taken out of the window of the handle. */
  missing: boolean;
  networks: {
    network: string;
    calls: number;
    at: number;
    returnedAt: number;
    awayMs: number;
    taken: number;
    from: string;
  }[];
  /** When a network that had to make room was last used, or -1. */
  droppedAt: number;
  /** The call does not count for its network yet. */
  untaken: boolean;
  /** The row of the tool's use by the client. */
  toolUse: string | null;
}

/** Values that come before the networks, and how many each of those has. */
const FIXED = 22;
const OF_NETWORK = 7;

/** Reads what the script answers. */
export function readRow(row: (string | number | null)[]): ObserveRow {
  const number = (at: number) => Number(row[at]);
  const stored = row[10];
  const record = typeof stored === 'string' ? parseRow(stored) : undefined;
  const networks: ObserveRow['networks'] = [];
  for (let at = FIXED; at + OF_NETWORK <= row.length; at += OF_NETWORK)
    networks.push({
      network: String(row[at]),
      calls: number(at + 1),
      at: number(at + 2),
      returnedAt: number(at + 3),
      awayMs: number(at + 4),
      taken: number(at + 5),
      from: String(row[at + 6]),
    });
  return {
    counts: [number(0), number(1), number(2), number(3)],
    sinceMs: number(4),
    known: row[5] === 1,
    trusted: String(row[6]),
    seen: row[7] === 1,
    firstAt: number(8),
    firstNetwork: String(row[9]),
    record,
    damaged: typeof stored === 'string' && !record ? stored : undefined,
    revocations: number(11),
    uses: number(12),
    idleFrom: number(13),
    now: number(14),
    lost: row[15] === 1,
    number: number(16),
    handleNumber: number(17),
    missing: row[18] === 1,
    droppedAt: number(19),
    untaken: row[20] === 1,
    toolUse: row[21] === null || row[21] === undefined ? null : String(row[21]),
    networks,
  };
}
