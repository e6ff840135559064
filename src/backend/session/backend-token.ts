// What a token is, apart from when its cookies were made and used.
import { cookieState } from '../http/jar.ts';
import type { BackendToken } from '../port.ts';

/** The same text for the same cookies and values, whenever they came. */
export const stateOf = ({ cookies, values }: BackendToken): string =>
  JSON.stringify([[...cookieState(cookies)].sort(), Object.entries(values).sort()]);
