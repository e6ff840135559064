// Finds the address a request comes from. When it cannot be determined the request is refused: a policy
// that binds sessions to a network must not be given a guess.
import { BoundedCache } from '../../core/bounded-cache.ts';
import { type Address, clientAddress as addressOf, type Prefixes } from '../../identity/address.ts';
import { refuse } from '../refuse.ts';
import type { Middleware } from '../state.ts';

/** Most addresses kept after parsing, by their text. Most calls come from few clients. */
const REMEMBERED = 1000;

/** Sets `state.address`, or answers 400. `hops` is the number of trusted proxies in front of the connector. */
export function clientAddress(hops: number, prefixes: Prefixes): Middleware {
  const parsed = new BoundedCache<string, Address>(REMEMBERED);
  return (ctx, next) => {
    const forwarded = ctx.req.headers['x-forwarded-for'];
    const list = Array.isArray(forwarded) ? forwarded.join(',') : forwarded;
    const key = hops === 0 ? ctx.req.socket.remoteAddress : list;
    const known = parsed.get(key ?? '');
    const address = known ?? addressOf(ctx.req.socket.remoteAddress, list, hops, prefixes);
    if (!address)
      return refuse(ctx, 'bad_request', 'the client address is not known; check proxy_hops and X-Forwarded-For');
    if (!known && key !== undefined && key.length <= 64) parsed.set(key, address);
    ctx.state.address = address;
    return next();
  };
}
