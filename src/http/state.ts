// What the middleware find out about one request, in the order in which they find it.
import type { ParameterizedContext } from 'koa';
import type { Address } from '../identity/address.ts';
import type { Client } from '../identity/client.ts';

/** State of one request. A field may be read only after the middleware that sets it. */
export interface State {
  /** Set by requestScope. */
  requestId: string;
  /** Set by clientAddress. */
  address: Address;
  /** Set by authenticate. */
  client: Client;
  /** Set by readBody. */
  body: unknown;
}

/** The Koa context with our state. */
export type Context = ParameterizedContext<State>;
/** Runs the rest of the middleware. */
export type Next = () => Promise<void>;
/** A Koa middleware over our context. */
export type Middleware = (ctx: Context, next: Next) => Promise<void> | void;
