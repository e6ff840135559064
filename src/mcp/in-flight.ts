// Requests that are being answered, so that a notifications/cancelled in another HTTP request finds its tool
// call. The key includes client and handle: another client that uses the same JSON-RPC id cannot cancel this call
//
import type { RpcId } from '../facts/port.ts';
import type { ClientRef } from '../identity/client.ts';
import type { Exchange } from './exchange.ts';

/** The requests that this process is answering. */
export interface InFlight {
  /** Adds the exchange of a request and answers a function that removes it again. */
  add(owner: ClientRef, handle: string, id: RpcId, exchange: Exchange): () => void;
  find(owner: ClientRef, handle: string, id: RpcId): Exchange | undefined;
}

/**
 * Creates an empty list. It is an object and no Map: entries come and go with every request, and the old tables of a Map keep
 * what stood in them; see countCalls.
 */
export function createInFlight(): InFlight {
  const exchanges: Record<string, Exchange> = Object.create(null);
  const key = (owner: ClientRef, handle: string, id: RpcId) => JSON.stringify([owner, handle, id]);
  return {
    add(owner, handle, id, exchange) {
      const name = key(owner, handle, id);
      // The first request keeps the id: a copy that arrives while it is in flight must not take over its
      // cancellation.
      if (exchanges[name]) return () => {};
      exchanges[name] = exchange;
      return () => void delete exchanges[name];
    },
    find: (owner, handle, id) => exchanges[key(owner, handle, id)],
  };
}
