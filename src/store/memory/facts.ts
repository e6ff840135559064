// Facts in this process. The ledger of a client is read and changed within one turn of the event loop, so that observing is
// one step however many calls arrive at once.

import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import { createLedger, finish, handleState, type Ledger, observe, openHandle, underWay } from '../../facts/ledger.ts';
import type { FactsPort } from '../../facts/port.ts';
import { type ToolUse, useFacts, withCalls } from '../../facts/tool-use.ts';
import type { ClientRef } from '../../identity/client.ts';
import { type ControlPort, epochMark } from '../../session/control.ts';
import type { SessionKey } from '../../session/record.ts';
import type { SessionSnapshot } from '../../session/store.ts';
import { BoundedMap } from './bounded-map.ts';

/** The bounds of the facts, and how they read a session. */
export interface MemoryFactsOptions {
  clock: Clock;
  /** Most clients remembered at once. */
  clients: number;
  /** How long a client is remembered after its last call; at least as long as its handles live. */
  ttlMs: number;
  /** The stored session, which is part of the facts. */
  session: (key: SessionKey) => SessionSnapshot;
  /** Tells the epoch. */
  control: Pick<ControlPort, 'read'>;
}

/** The facts, and what the session store needs to know of the calls under way. */
export interface MemoryFacts extends FactsPort {
  /** Waits until the calls that are under way now have ended. Answers false when `limitMs` have passed first. */
  drained(owner: ClientRef, limitMs: number): Promise<boolean>;
}

/** An entry is kept by reference, so changing it needs no write; its time to live is renewed now and then. */
interface Entry {
  ledger: Ledger;
  expires: number;
  /** Functions that are called whenever a call of the client has ended; undefined when nobody waits. */
  waiting: Set<() => void> | undefined;
}

/** Most rows of the use of a tool by a client. */
const TOOL_USES = 50_000;
/** So much longer than said an entry may live: for so long its time to live is not renewed. */
const RENEW_MS = 60_000;

/** The facts of a single process. A new client is refused when as many as `clients` are remembered. */
export function createMemoryFacts({ clock, clients, ttlMs, session, control }: MemoryFactsOptions): MemoryFacts {
  const entries = new BoundedMap<Entry>(clients, Date.now);
  // Rows of their own, which outlive the ledger and give way to newer ones: nobody is refused because of them.
  const uses = new BoundedCache<string, ToolUse>(TOOL_USES);
  const nameOf = (owner: ClientRef, tool: string) => `${owner} ${tool}`;
  const living = (owner: ClientRef): Entry | undefined => {
    const entry = entries.get(owner);
    return entry && entry.expires > Date.now() ? entry : undefined;
  };
  /** The entry of a client. Throws when it is new and there are as many as may be. */
  const entryOf = (owner: ClientRef): Entry => {
    const expires = Date.now() + ttlMs;
    const entry = living(owner) ?? { ledger: createLedger(), expires: 0, waiting: undefined };
    if (entry.expires < expires) {
      entry.expires = expires + RENEW_MS;
      entries.set(owner, entry);
    }
    return entry;
  };

  return {
    async observe(observation) {
      const { owner, backend, tool = null } = observation;
      const now = clock.now();
      const storedSession = backend === null ? { record: undefined, revocations: 0 } : session({ backend, owner });
      const known = { ...observe(entryOf(owner).ledger, observation, storedSession.record, now), storedSession };
      if (tool !== null) known.usage.tool = useFacts(uses.get(nameOf(owner, tool)), now);
      return known;
    },
    async finished(owner, call, ending) {
      const now = clock.now();
      const { ledger, waiting } = entryOf(owner);
      finish(ledger, call, ending, now);
      const { used } = ending;
      if (used !== undefined) uses.set(nameOf(owner, used), withCalls(uses.get(nameOf(owner, used)), 1, now));
      for (const wake of waiting ?? []) wake();
    },
    sessionUse: async ({ owner, backend }) => living(owner)?.ledger.sessions.find((each) => each.backend === backend),
    openHandle: async (owner, handle) => openHandle(entryOf(owner).ledger, handle),
    handleState: async (owner, handle, minted) => {
      const { epoch } = await control.read(0);
      return handleState(entryOf(owner).ledger, handle, minted === epochMark(epoch));
    },

    async drained(owner, limitMs) {
      const entry = living(owner);
      if (!entry) return true;
      const before = new Set(underWay(entry.ledger, clock.now()));
      return new Promise((resolve) => {
        const end = (drained: boolean) => {
          clearTimeout(timer);
          entry.waiting?.delete(look);
          if (entry.waiting?.size === 0) entry.waiting = undefined;
          resolve(drained);
        };
        const timer = setTimeout(() => end(false), limitMs);
        const look = () => underWay(entry.ledger, clock.now()).some((call) => before.has(call)) || end(true);
        entry.waiting ??= new Set();
        entry.waiting.add(look);
        look();
      });
    },
  };
}
