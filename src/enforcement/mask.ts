// The `mask` obligation: JSON pointers blanked in a result. "*" stands for every item of a list.
import { type Json, pointerTokens } from '../formats/json.ts';

export const MASKED = '[masked]';

/** A copy with the named places blanked. A pointer that names nothing blanks nothing. */
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
