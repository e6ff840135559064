// What the checks find out about one request, in the order in which they find it.
import type { ParameterizedContext } from 'koa';
import type { Address } from '../identity/address.ts';
import type { Client } from '../identity/client.ts';

/** State of one request. A field may be read only after the check that sets it. */
export interface State {
  /** Set before the first check. */
  requestId: string;
  /** Of the request target, without the query. Set by strictHeaders. */
  path: string;
  /** Set by clientAddress. */
  address: Address;
  /** Set by authenticate. */
  client: Client;
  /** Set by readBody. */
  body: unknown;
}

/** The Koa context with our state. */
export type Context = ParameterizedContext<State>;
/**
 * One step on the way of a request. Answers whether the next one is to follow: false when the request has been answered,
 * by a result or by a refusal.
 */
export type Check = (ctx: Context) => boolean | Promise<boolean>;
