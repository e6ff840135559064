// Requests that are being answered, so that a notifications/cancelled in another HTTP request finds
// its call. Keyed by client and handle: an equal id of somebody else is somebody else's.
import type { RpcId } from '../facts/port.ts';
import type { ClientRef } from '../identity/client.ts';
import type { OneShotTransport } from './one-shot-transport.ts';

export interface InFlight {
  /** Answers a function that forgets the exchange again. */
  add(owner: ClientRef, handle: string, id: RpcId, exchange: OneShotTransport): () => void;
  find(owner: ClientRef, handle: string, id: RpcId): OneShotTransport | undefined;
}

export function createInFlight(): InFlight {
  const exchanges = new Map<string, OneShotTransport>();
  const key = (owner: ClientRef, handle: string, id: RpcId) => JSON.stringify([owner, handle, id]);
  return {
    add(owner, handle, id, exchange) {
      const name = key(owner, handle, id);
      // The first keeps the name: a copy of a call in flight must not be cancelled in its place.
      if (exchanges.has(name)) return () => {};
      exchanges.set(name, exchange);
      return () => void exchanges.delete(name);
    },
    find: (owner, handle, id) => exchanges.get(key(owner, handle, id)),
  };
}
