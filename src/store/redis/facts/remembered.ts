// What this replica remembers of ledgers and of the ids that were used in handles, so that it notices when somebody who
// can write to the store takes something back: a call that was made, an id that was used. Only a replica that
// has seen the newer state can tell; docs/security.md says what remains.
import { BoundedCache } from '../../../core/bounded-cache.ts';
import type { ClientRef } from '../../../identity/client.ts';

/** Most clients, handles and ids that are remembered; the oldest is forgotten first. */
const LEDGERS = 10_000;
const IDS = 50_000;

interface Use {
  at: number;
  network: string;
}

/** What was known when the store was asked. An answer that was on its way meanwhile is older for a good reason. */
export interface Before {
  ledger: string;
  number: number;
  handle: string | undefined;
  handleNumber: number;
  id: string | undefined;
  use: Use | undefined;
}

/** What the store answered. */
interface Answered extends Use {
  number: number;
  handleNumber: number;
  missing: boolean;
  seen: boolean;
}

/** What has gone back. `use`: the id was used before, although the store knows nothing of it. */
export interface WentBack {
  ledger: boolean;
  handle: boolean;
  use: Use | undefined;
}

export interface Remembered {
  /** Numbers are compared within one epoch of the store: in another one they begin anew for a good reason. */
  before(epoch: string, owner: ClientRef, rpc: { handle: string; id: string } | null): Before;
  /** Compares the answer with what was known before it, and remembers it. */
  compare(before: Before, answer: Omit<Answered, 'at'> & { now: number }): WentBack;
}

/** A ledger that nobody has used for `ttlMs` is forgotten by the store, too, and begins anew. */
export function createRemembered(ttlMs: number): Remembered {
  const ledgers = new BoundedCache<string, number>(LEDGERS);
  const usedAt = new BoundedCache<string, number>(LEDGERS);
  const handles = new BoundedCache<string, number>(LEDGERS);
  const uses = new BoundedCache<string, Use>(IDS);
  const grow = (cache: Map<string, number>, name: string, value: number) =>
    void cache.set(name, Math.max(cache.get(name) ?? 0, value));

  return {
    before(epoch, owner, rpc) {
      const ledger = `${epoch} ${owner}`;
      const handle = rpc ? `${epoch} ${owner} ${rpc.handle}` : undefined;
      const id = rpc ? `${owner} ${rpc.handle} ${rpc.id}` : undefined;
      return {
        ledger,
        number: ledgers.get(ledger) ?? 0,
        handle,
        handleNumber: (handle !== undefined && handles.get(handle)) || 0,
        id,
        use: id === undefined ? undefined : uses.get(id),
      };
    },
    compare(before, { number, handleNumber, missing, seen, now, network }) {
      const ledger = number <= before.number && now - (usedAt.get(before.ledger) ?? 0) < ttlMs;
      usedAt.set(before.ledger, now);
      const handle =
        before.handle !== undefined && handleNumber > 0 && (missing || handleNumber <= before.handleNumber);
      const use = seen ? undefined : before.use;
      // After a loss the new numbers count, or every later call would be told again.
      if (number <= before.number) ledgers.set(before.ledger, number);
      else grow(ledgers, before.ledger, number);
      if (before.handle !== undefined && handleNumber > 0) {
        if (handle) handles.set(before.handle, handleNumber);
        else grow(handles, before.handle, handleNumber);
      }
      if (before.id !== undefined && !uses.has(before.id)) uses.set(before.id, { at: now, network });
      return { ledger, handle, use };
    },
  };
}
