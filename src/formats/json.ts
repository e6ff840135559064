// JSON values, and the questions about them that are asked in more than one place.

/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
/** A JSON object. */
export type JsonObject = { [key: string]: Json };

/** Whether a value is an object, and neither null nor an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a text has no half of a surrogate pair, which JSON can write and UTF-8 cannot. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);

/**
 * Whether arrays and objects nest deeper than `limit`. It stops at the limit, so the recursion cannot overflow
 * the stack.
 */
export function nestsDeeperThan(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (limit === 0) return true;
  for (const child of Array.isArray(value) ? value : Object.values(value)) {
    if (nestsDeeperThan(child, limit - 1)) return true;
  }
  return false;
}

/**
 * The reference tokens of a JSON pointer, unescaped (RFC 6901 §3 and §4). The pointer "" names the whole document
 * and has none.
 */
export function pointerTokens(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The JSON pointer of these tokens, escaped. */
export const pointerOf = (tokens: readonly string[]): string =>
  tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/**
 * The value that a JSON pointer names, or undefined. Only own properties count, so `/__proto__` names nothing.
 */
export function atPointer(document: unknown, pointer: string): unknown {
  let value = document;
  for (const token of pointerTokens(pointer)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined;
    value = (value as Record<string, unknown>)[token];
  }
  return value;
}

/** JSON with sorted keys, for hashes that must not depend on the order of keys in a file. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, child: unknown) =>
    isObject(child) ? Object.fromEntries(Object.entries(child).sort(([a], [b]) => (a < b ? -1 : 1))) : child,
  );
}

/**
 * Parses JSON; answers undefined when it is not valid. A whole number that a double cannot hold becomes a string, and
 * so does one too large for a double at all: rounded, the id of one record would become the id of another.
 */
export function parseJson(text: string): unknown {
  try {
    const plain: unknown = JSON.parse(text);
    // The search for numbers runs only over valid JSON, where every string ends. In any other text it could take
    // for ever.
    return /\d{16}|\d[eE]\+?\d{3}/.test(text) ? JSON.parse(withExactNumbers(text)) : plain;
  } catch {
    return undefined;
  }
}

const withExactNumbers = (json: string): string =>
  json.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs, (token) => {
    if (token.startsWith('"')) return token;
    const value = Number(token);
    const held = /^-?\d+$/.test(token) ? Number.isSafeInteger(value) : Number.isFinite(value);
    return held ? token : `"${token}"`;
  });

/** The value at a path of names; undefined where there is none. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let inside = value;
  for (const name of path) {
    if (!isObject(inside) || !Object.hasOwn(inside, name)) return undefined;
    inside = inside[name];
  }
  return inside;
}
