// Facts in Redis. One script counts the call, uses its JSON-RPC id and reads the session, in one round trip.

import { BoundedCache } from '../../../core/bounded-cache.ts';
import { wholeSeconds } from '../../../core/clock.ts';
import type { CallEnding, Facts, FactsPort, HandleState, RpcId } from '../../../facts/port.ts';
import { isWindowed, stringKey } from '../../../facts/replay-window.ts';
import { useFacts } from '../../../facts/tool-use.ts';
import type { ClientRef } from '../../../identity/client.ts';
import { CONTROL_AGE_MS, type Control, type ControlPort, epochMark } from '../../../session/control.ts';
import type { RedisConnection } from '../connection.ts';
import type { Keys } from '../keys.ts';
import { FINISH, FLIGHT, HANDLE_STATE, LOSE_HISTORY, OBSERVE, OPEN_HANDLE, SESSION_USE } from './ledger.lua.ts';
import { type ObserveRow, readRow } from './observe-row.ts';
import { createRemembered } from './remembered.ts';
import { createToolUses } from './tool-use.ts';

/** What the facts work with. `ttlMs` is how long a client is remembered after its last call. */
export interface RedisFactsOptions {
  connection: RedisConnection;
  keys: Keys;
  control: ControlPort;
  /** Names this process among the replicas. It has a lease in the store, under the same name. */
  replica: string;
  /** What time it is for the scripts: '' for that of the store, which is the rule; tests say it, in milliseconds. */
  time: () => string;
  ttlMs: number;
  /** Called when the store knows less than this replica, in the same epoch. */
  onWentBack: () => void;
}

/** The facts, and what the session store needs to know of the calls under way. */
export interface RedisFacts extends FactsPort {
  /**
   * Waits until the calls that are under way now, on any replica, have ended. Answers false when `limitMs` have
   * passed first.
   */
  drained(owner: ClientRef, limitMs: number): Promise<boolean>;
  /** Tells the store what has been counted here for a minute; with `all`, everything. Does not wait for it. */
  tell(all?: boolean): void;
}

/**
 * Most handles that this replica has asked about and takes as known. A call with one that is gone since counts as a
 * replay.
 */
const KNOWN_HANDLES = 10_000;
/** How often `drained` looks whether the calls have ended. */
const DRAIN_POLL_MS = 50;
/** Most ends of calls that are kept while the store does not answer. */
const UNTOLD = 10_000;
/** Usage is counted over an hour: what was forgotten before that would not count any more. */
const MEMORY_MS = 3_600_000;

/**
 * The facts that all replicas share. It reads the epoch with each call, to know what may have been forgotten.
 */
export function createRedisFacts({
  connection,
  keys,
  control,
  replica,
  time,
  ttlMs,
  onWentBack,
}: RedisFactsOptions): RedisFacts {
  const handles = new BoundedCache<string, string>(KNOWN_HANDLES);

  /** Ends of calls that could not be reported to the store. They are reported again with a later call. */
  const untold: { owner: ClientRef; call: string; ending: CallEnding }[] = [];

  const uses = createToolUses(connection, keys);

  /** What is known here of ids and ledgers, which the store cannot forget for us. */
  const remembered = createRemembered(ttlMs);
  let epoch: string | undefined;
  const named = (call: string) => `${replica}/${call}`;

  /** Calls that do not count for their network yet, because every one from there was refused so far. */
  const untaken = new Map<string, string>();

  async function tell(owner: ClientRef, call: string, { denied, refusedPlace }: CallEnding): Promise<void> {
    const waits = untaken.get(call);
    const taken = waits === undefined ? (refusedPlace === undefined ? 0 : -1) : refusedPlace === undefined ? 1 : 0;
    if (denied || taken !== 0) {
      const place = refusedPlace ?? waits ?? '';
      const at = [keys.ledger(owner), keys.flight(owner)];
      await connection.run(FINISH, at, [time(), ttlMs, named(call), denied ? 1 : 0, place, taken]);
    } else await connection.removeField(keys.flight(owner), named(call));
    untaken.delete(call);
  }

  async function tellAgain(): Promise<void> {
    for (const { owner, call, ending } of untold.splice(0)) {
      await tell(owner, call, ending).catch(() => remember(owner, call, ending));
    }
  }
  function remember(owner: ClientRef, call: string, ending: CallEnding): void {
    if (untold.length < UNTOLD) untold.push({ owner, call, ending });
    else untaken.delete(call);
  }

  /**
   * Whether facts about the client may have been forgotten. They may, until its session has logged in under
   * the present epoch. Without a session that holds for the first hour of the epoch, in which there may have been
   * calls nobody knows of.
   */
  function forgotten({ record, trusted, now }: ObserveRow, { lost, since, epoch }: Control): boolean {
    if (!lost) return false;
    return record ? record.epoch !== epoch : trusted !== epoch && now - since < MEMORY_MS;
  }

  /** Whether the handle is known under this epoch. */
  async function known(owner: ClientRef, handle: string, minted: string, { epoch }: Control): Promise<HandleState> {
    const name = `${owner} ${handle}`;
    if (handles.get(name) === epoch) return 'known';
    handles.delete(name);
    const at = [keys.ledger(owner), keys.window(owner, handle), keys.handles(owner)];
    const present = minted === epochMark(epoch) ? 1 : 0;
    const args = [ttlMs, epoch, handle, beforeHandle(owner), present];
    if ((await connection.run(HANDLE_STATE, at, args)) !== 1) return 'unknown';
    handles.set(name, epoch);
    return 'known';
  }

  /** What the names of replay windows of this client have before the handle. */
  const beforeHandle = (owner: ClientRef): string => keys.window(owner, '');

  return {
    async observe({ call, owner, network, rpc, backend, tool = null }) {
      let now = await control.read(CONTROL_AGE_MS);
      const sameEpoch = epoch === now.epoch;
      epoch = now.epoch;
      const session = { owner, backend: backend ?? '' };
      const [kind, id] = rpc ? spelling(rpc.id) : ['', ''];
      const before = remembered.before(now.epoch, owner, rpc && { handle: rpc.handle, id: `${kind}${id}` });
      const row = readRow(
        (await connection.run(
          OBSERVE,
          [
            keys.ledger(owner),
            keys.session(session),
            keys.revoked(owner),
            keys.window(owner, rpc?.handle ?? ''),
            keys.flight(owner),
            keys.handles(owner),
            keys.tools(owner),
          ],
          [
            ...[time(), ttlMs, now.epoch, network, session.backend, rpc?.handle ?? '', kind, id],
            ...[named(call), leases(now), tool ?? ''],
          ],
        )) as (string | number | null)[],
      );
      if (row.untaken) untaken.set(call, network);
      // Nothing is known of this client in this epoch: it is new, or the store was emptied a moment ago. A fresh
      // reading tells.
      if (!row.known) now = await control.read(0);
      if (rpc && row.seen && row.firstAt < 0) handles.delete(`${owner} ${rpc.handle}`);
      if (untold.length > 0) void tellAgain();
      const back = remembered.compare(before, { ...row, network });
      if (rpc && back.handle) {
        row.lost = true;
        await connection.run(LOSE_HISTORY, [keys.window(owner, rpc.handle)], []);
      }
      if (back.use) Object.assign(row, { seen: true, firstAt: back.use.at, firstNetwork: back.use.network });
      if (sameEpoch && now.epoch === epoch && (back.ledger || back.handle || back.use)) onWentBack();
      const known = facts(row, { network, rpc: rpc !== null, forgotten: back.ledger || forgotten(row, now) });
      if (tool !== null) known.usage.tool = useFacts(uses.read(owner, tool, row.toolUse), row.now);
      return known;
    },

    async finished(owner, call, ending) {
      // By the clock of this machine: against ninety days that makes no difference.
      if (ending.used !== undefined) uses.used(owner, ending.used, Number(time()) || Date.now());
      try {
        await tell(owner, call, ending);
      } catch (thrown) {
        remember(owner, call, ending);
        throw thrown;
      }
    },

    async sessionUse({ owner, backend }) {
      const text = (await connection.run(SESSION_USE, [keys.ledger(owner)], [backend])) as string | null;
      const [id, , uses, lastUsed] = text?.split(' ') ?? [];
      return id === undefined ? undefined : { id, uses: Number(uses), lastUsed: Number(lastUsed) };
    },

    async openHandle(owner, handle) {
      // The epoch is read fresh, because a handle of an epoch that has just ended would be refused at its first call.
      const { epoch } = await control.read(0);
      const at = [keys.ledger(owner), keys.window(owner, handle), keys.handles(owner)];
      await connection.run(OPEN_HANDLE, at, [ttlMs, epoch, handle, beforeHandle(owner)]);
    },

    async handleState(owner, handle, minted) {
      const state = await known(owner, handle, minted, await control.read(CONTROL_AGE_MS));
      if (state === 'known') return state;
      // The store may have been emptied a moment ago, and the epoch that was read before that is over.
      return known(owner, handle, minted, await control.read(0));
    },

    tell: (all = false) => uses.flush(all ? undefined : Number(time()) || Date.now()),

    async drained(owner, limitMs) {
      const end = performance.now() + limitMs;
      const look = async () => {
        const living = leases(await control.read(CONTROL_AGE_MS));
        return (await connection.run(FLIGHT, [keys.flight(owner)], [time(), living])) as string[];
      };
      const before = new Set(await look());
      for (let now: string[] = [...before]; now.some((call) => before.has(call)); now = await look()) {
        if (performance.now() >= end) return false;
        await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
      }
      return true;
    },
  };
}

/** The replicas that have a lease, each between spaces; '' when that is not known, and none counts as gone. */
const leases = ({ replicas }: Control): string => (replicas.length === 0 ? '' : ` ${replicas.join(' ')} `);

/** Integers have a window of their own. Everything else counts as a string, and a long one is kept by its hash. */
function spelling(id: RpcId): [kind: 'i' | 's', id: string] {
  return isWindowed(id) ? ['i', String(id)] : ['s', stringKey(`${typeof id}:${id}`)];
}

function facts(row: ObserveRow, call: { network: string; rpc: boolean; forgotten: boolean }): Facts {
  const { now } = row;
  const [calls_1m, calls_1h, denials_1h, in_flight] = row.counts;
  const first = row.seen && row.firstAt >= 0;
  return {
    usage: {
      calls_1m,
      calls_1h,
      denials_1h,
      in_flight,
      seconds_since_last_call: row.sinceMs < 0 ? null : wholeSeconds(row.sinceMs),
      networks: row.networks.map(({ network, calls, at, returnedAt, awayMs, from, taken }) => ({
        network,
        calls,
        last_seen_seconds: wholeSeconds(now - at),
        ...(returnedAt >= 0 && {
          returned_seconds: wholeSeconds(now - returnedAt),
          away_seconds: wholeSeconds(awayMs),
          returned_from: from,
        }),
        ...(taken === 0 && { refused: true as const }),
      })),
      ...(row.droppedAt >= 0 && { networks_dropped_seconds: wholeSeconds(now - row.droppedAt) }),
      forgotten: call.forgotten,
    },
    replay: {
      source: call.rpc ? 'rpc_id' : null,
      seen: row.seen,
      first_seen_seconds: first ? wholeSeconds(now - row.firstAt) : null,
      same_network: first ? row.firstNetwork === call.network : null,
      history: call.rpc ? (row.lost ? 'lost' : 'complete') : null,
    },
    now,
    storedSession: {
      record: row.record,
      revocations: row.revocations,
      ...(row.damaged !== undefined && { damaged: row.damaged }),
    },
    session: row.record ? { idle_seconds: wholeSeconds(now - row.idleFrom), token_uses: row.uses } : null,
  };
}
