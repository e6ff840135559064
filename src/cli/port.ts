// The port that a command line or the environment gives.
import { OperatorError } from '../core/errors.ts';

/** undefined where none is given. Throws an OperatorError for what is no port. */
export function portOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535)
    throw new OperatorError(`the port (--port or PORT) is "${text.slice(0, 20)}"; give a number from 0 to 65535`);
  return Number(text);
}
