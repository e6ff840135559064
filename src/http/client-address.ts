// Where the call comes from. An address that cannot be told is refused: a policy that binds to
// a network must not be fed a guess.
import { clientAddress as addressOf, type Prefixes } from '../identity/address.ts';
import { refuse } from './refuse.ts';
import type { Middleware } from './state.ts';

export function clientAddress(hops: number, prefixes: Prefixes): Middleware {
  return (ctx, next) => {
    const forwarded = ctx.req.headers['x-forwarded-for'];
    const address = addressOf(
      ctx.req.socket.remoteAddress,
      Array.isArray(forwarded) ? forwarded.join(',') : forwarded,
      hops,
      prefixes,
    );
    if (!address)
      return refuse(ctx, 'bad_request', 'the client address is not known; check proxy_hops and X-Forwarded-For');
    ctx.state.address = address;
    return next();
  };
}
