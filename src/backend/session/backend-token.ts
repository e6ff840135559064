// Compares backend tokens by what they are, without the times at which their cookies were created and used.
import { cookieState } from '../http/jar.ts';
import type { BackendToken } from '../port.ts';

/**
 * A text that is equal for two backend tokens with the same cookies and values, whatever their order and age.
 * It contains the secrets in clear: compare it or hash it, never store or log it.
 */
export const stateOf = ({ cookies, values }: BackendToken): string =>
  JSON.stringify([[...cookieState(cookies)].sort(), Object.entries(values).sort()]);
