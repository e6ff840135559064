// Facts in Redis: counting, replay window, and the session there is, in one script and one round trip.

import { BoundedCache } from '../../core/bounded-cache.ts';
import { type Clock, wholeSeconds } from '../../core/clock.ts';
import type { Facts, FactsPort, RpcId } from '../../facts/port.ts';
import { isWindowed, stringKey } from '../../facts/replay-window.ts';
import type { ClientRef } from '../../identity/client.ts';
import { CONTROL_AGE_MS, type Control, type ControlPort } from '../../session/control.ts';
import type { SessionRecord } from '../../session/record.ts';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import { FINISH, FINISH_DENIED, FLIGHT, HANDLE_STATE, OBSERVE, OPEN_HANDLE } from './ledger.lua.ts';
import { parseRow } from './row.ts';

export interface RedisFactsOptions {
  connection: RedisConnection;
  keys: Keys;
  control: ControlPort;
  clock: Clock;
  ttlMs: number;
}

export interface RedisFacts extends FactsPort {
  drained(owner: ClientRef, limitMs: number): Promise<boolean>;
}

/** Handles this replica has asked about. A call with one that is gone since counts as a replay. */
const KNOWN_HANDLES = 10_000;
const DRAIN_POLL_MS = 50;
/** Usage is counted over an hour: what was forgotten before that would not count any more. */
const UNTOLD = 10_000;
const MEMORY_MS = 3_600_000;

export function createRedisFacts({ connection, keys, control, clock, ttlMs }: RedisFactsOptions): RedisFacts {
  const handles = new BoundedCache<string, string>(KNOWN_HANDLES);

  /** Ends of calls the store could not be told of. */
  const untold: { owner: ClientRef; call: string; denied: boolean }[] = [];

  const tell = (owner: ClientRef, call: string, denied: boolean) =>
    denied
      ? connection.run(FINISH_DENIED, [keys.ledger(owner), keys.flight(owner)], [clock.now(), ttlMs, call])
      : connection.run(FINISH, [keys.flight(owner)], [call]);

  async function tellAgain(): Promise<void> {
    for (const { owner, call, denied } of untold.splice(0)) {
      await tell(owner, call, denied).catch(() => remember(owner, call, denied));
    }
  }
  function remember(owner: ClientRef, call: string, denied: boolean): void {
    if (untold.length < UNTOLD) untold.push({ owner, call, denied });
  }

  /**
   * Until its session was opened under the present epoch, nothing of a client can be relied on: a login
   * of another epoch, or none within the hour in which there may have been calls nobody knows of.
   */
  function forgotten({ record, trusted }: ObserveRow, { lost, since, epoch }: Control): boolean {
    if (!lost) return false;
    return record ? record.epoch !== epoch : trusted !== epoch && clock.now() - since < MEMORY_MS;
  }

  return {
    async observe({ call, owner, network, rpc, backend }) {
      let now = await control.read(CONTROL_AGE_MS);
      const session = { owner, backend: backend ?? '' };
      const [kind, id] = rpc ? spelling(rpc.id) : ['', ''];
      const reply = read(
        (await connection.run(
          OBSERVE,
          [
            keys.ledger(owner),
            keys.session(session),
            keys.revoked(owner),
            keys.window(owner, rpc?.handle ?? ''),
            keys.flight(owner),
          ],
          [clock.now(), ttlMs, now.epoch, network, session.backend, rpc?.handle ?? '', kind, id, call],
        )) as (string | number | null)[],
      );
      // Nothing known of this client in this epoch: it is new, or the store was emptied a moment ago.
      if (!reply.known) now = await control.read(0);
      if (rpc && reply.seen && reply.firstAt < 0) handles.delete(`${owner} ${rpc.handle}`);
      if (untold.length > 0) void tellAgain();
      return facts(reply, { network, rpc: rpc !== null, forgotten: forgotten(reply, now) });
    },

    async finished(owner, call, { denied }) {
      try {
        await tell(owner, call, denied);
      } catch (thrown) {
        remember(owner, call, denied);
        throw thrown;
      }
    },

    async openHandle(owner, handle) {
      // Fresh: a handle of an epoch that has just ended would be refused at its first call.
      const { epoch } = await control.read(0);
      const window = keys.window(owner, handle);
      const before = window.slice(0, window.length - handle.length);
      await connection.run(OPEN_HANDLE, [keys.ledger(owner), window], [clock.now(), ttlMs, epoch, handle, before]);
    },

    async handleState(owner, handle) {
      const { epoch } = await control.read(CONTROL_AGE_MS);
      const name = `${owner} ${handle}`;
      if (handles.get(name) === epoch) return 'known';
      handles.delete(name);
      if ((await connection.run(HANDLE_STATE, [keys.window(owner, handle)], [epoch])) !== 1) return 'unknown';
      handles.set(name, epoch);
      return 'known';
    },

    async drained(owner, limitMs) {
      const end = performance.now() + limitMs;
      const look = async () => (await connection.run(FLIGHT, [keys.flight(owner)], [clock.now()])) as string[];
      const before = new Set(await look());
      for (let now: string[] = [...before]; now.some((call) => before.has(call)); now = await look()) {
        if (performance.now() >= end) return false;
        await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
      }
      return true;
    },
  };
}

/** Integers have a window of their own; everything else is a string, long ones by their hash. */
function spelling(id: RpcId): [kind: 'i' | 's', id: string] {
  return isWindowed(id) ? ['i', String(id)] : ['s', stringKey(`${typeof id}:${id}`)];
}

interface ObserveRow {
  counts: [minute: number, hour: number, denials: number, inFlight: number];
  sinceMs: number;
  /** Whether there was a ledger, of the epoch this replica knows. */
  known: boolean;
  /** Epoch under which the newest session that was seen had logged in. */
  trusted: string;
  seen: boolean;
  /** -1 when the first use is not remembered. */
  firstAt: number;
  firstNetwork: string;
  record: SessionRecord | undefined;
  revocations: number;
  uses: number;
  idleFrom: number;
  now: number;
  networks: { network: string; calls: number; at: number }[];
}

const FIXED = 15;

function read(reply: (string | number | null)[]): ObserveRow {
  const number = (at: number) => Number(reply[at]);
  const stored = reply[10];
  const record = typeof stored === 'string' ? parseRow(stored) : undefined;
  if (typeof stored === 'string' && !record) throw new Error('the stored session cannot be read');
  const networks: ObserveRow['networks'] = [];
  for (let at = FIXED; at + 2 < reply.length; at += 3)
    networks.push({ network: String(reply[at]), calls: number(at + 1), at: number(at + 2) });
  return {
    counts: [number(0), number(1), number(2), number(3)],
    sinceMs: number(4),
    known: reply[5] === 1,
    trusted: String(reply[6]),
    seen: reply[7] === 1,
    firstAt: number(8),
    firstNetwork: String(reply[9]),
    record,
    revocations: number(11),
    uses: number(12),
    idleFrom: number(13),
    now: number(14),
    networks,
  };
}

function facts(reply: ObserveRow, call: { network: string; rpc: boolean; forgotten: boolean }): Facts {
  const { now } = reply;
  const [calls_1m, calls_1h, denials_1h, in_flight] = reply.counts;
  const first = reply.seen && reply.firstAt >= 0;
  return {
    usage: {
      calls_1m,
      calls_1h,
      denials_1h,
      in_flight,
      seconds_since_last_call: reply.sinceMs < 0 ? null : wholeSeconds(reply.sinceMs),
      networks: reply.networks.map(({ network, calls, at }) => ({
        network,
        calls,
        last_seen_seconds: wholeSeconds(now - at),
      })),
      forgotten: call.forgotten,
    },
    replay: {
      source: call.rpc ? 'rpc_id' : null,
      seen: reply.seen,
      first_seen_seconds: first ? wholeSeconds(now - reply.firstAt) : null,
      same_network: first ? reply.firstNetwork === call.network : null,
    },
    storedSession: { record: reply.record, revocations: reply.revocations },
    session: reply.record ? { idle_seconds: wholeSeconds(now - reply.idleFrom), token_uses: reply.uses } : null,
  };
}
