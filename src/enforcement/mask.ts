// The `mask` obligation: blanks the places in a result that JSON pointers name (RFC 6901). The token "*" stands
// for every item of a list.
import { type Json, pointerTokens } from '../formats/json.ts';

/** What stands in the place of a masked value. */
export const MASKED = '[masked]';

/** Answers a copy of the value with the named places blanked. A pointer that names nothing changes nothing. */
export function mask(value: Json, pointers: readonly string[]): Json {
  return pointers.reduce((masked, pointer) => blank(masked, pointerTokens(pointer)), value);
}

function blank(value: Json, [token, ...rest]: string[]): Json {
  if (token === undefined) return MASKED;
  if (Array.isArray(value))
    return value.map((item, i) => (token === '*' || token === String(i) ? blank(item, rest) : item));
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return value;
  return { ...value, [token]: blank(value[token] as Json, rest) };
}
