// What the middleware find out about one request, in the order they find it.
import type { ParameterizedContext } from 'koa';
import type { Address } from '../identity/address.ts';
import type { Client } from '../identity/client.ts';

export interface State {
  requestId: string;
  /** Set by clientAddress. */
  address: Address;
  /** Set by authenticate. */
  client: Client;
  /** Set by readBody. */
  body: unknown;
}

export type Context = ParameterizedContext<State>;
export type Next = () => Promise<void>;
export type Middleware = (ctx: Context, next: Next) => Promise<void> | void;
