// Finds the address a request comes from. When it cannot be determined the request is refused: a policy
// that binds sessions to a network must not be given a guess.
import { BoundedCache } from '../../core/bounded-cache.ts';
import { type Address, clientAddress as addressOf, type Forwarding, type Prefixes } from '../../identity/address.ts';
import { refuse } from '../refuse.ts';
import type { Check } from '../state.ts';

/** Most addresses that are remembered, by what they were found from. Most calls come from few clients. */
const REMEMBERED = 1000;
/** The longest header, in characters, for which an address is remembered. */
const SHORT = 64;

/** Sets `state.address`, or answers 400. */
export function clientAddress(forwarding: Forwarding, prefixes: Prefixes): Check {
  const found = new BoundedCache<string, Address>(REMEMBERED);
  return (ctx) => {
    const { remoteAddress } = ctx.req.socket;
    const header = ctx.req.headers['x-forwarded-for'];
    const list = Array.isArray(header) ? header.join(',') : header;
    // The peer is part of the key: who it is decides whether the list is read at all.
    const key = forwarding.hops === 0 ? `${remoteAddress}` : `${remoteAddress} ${list ?? ''}`;
    const known = found.get(key);
    const address = known ?? addressOf(remoteAddress, list, forwarding, prefixes);
    if (!address)
      return refuse(ctx, 'bad_request', 'the client address is not known; check proxy_hops and X-Forwarded-For');
    if (!known && key.length <= SHORT + (remoteAddress?.length ?? 0)) found.set(key, address);
    ctx.state.address = address;
    return true;
  };
}
