// Requests that are being answered, so that a notifications/cancelled in another HTTP request finds its tool
// call. The key includes client and handle: another client that uses the same JSON-RPC id cannot cancel this call
//
import type { RpcId } from '../facts/port.ts';
import type { ClientRef } from '../identity/client.ts';
import type { Exchange } from './exchange.ts';

/** The requests that this process is answering. */
export interface InFlight {
  /** Adds the exchange of a request, with its handle if it has one, and answers a function that removes it again. */
  add(owner: ClientRef, handle: string | null, id: RpcId, exchange: Exchange): () => void;
  /** Every request that is being answered. */
  all(): readonly Exchange[];
  find(owner: ClientRef, handle: string, id: RpcId): Exchange | undefined;
}

/**
 * Creates an empty list. It is no Map: entries come and go with every request, and the old tables of a Map keep what stood
 * in them; see countCalls. A list of so many as are under way at once is looked through faster than a key is made.
 */
export function createInFlight(): InFlight {
  const entries: { owner: ClientRef; handle: string | null; id: RpcId; exchange: Exchange }[] = [];
  const find = (owner: ClientRef, handle: string, id: RpcId) =>
    entries.find((entry) => entry.id === id && entry.handle === handle && entry.owner === owner);
  return {
    add(owner, handle, id, exchange) {
      // The first request keeps the id: a copy that arrives while it is in flight must not take over its
      // cancellation.
      const copy = handle !== null && find(owner, handle, id) !== undefined;
      const entry = { owner, handle: copy ? null : handle, id, exchange };
      entries.push(entry);
      return () => {
        const last = entries.pop();
        if (last && last !== entry) entries[entries.indexOf(entry)] = last;
      };
    },
    find: (owner, handle, id) => find(owner, handle, id)?.exchange,
    all: () => entries.map(({ exchange }) => exchange),
  };
}
