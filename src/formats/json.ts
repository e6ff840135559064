// JSON values and the few questions asked about them in more than one place.

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether arrays and objects nest deeper than `limit`. Stops at the limit, so it cannot overflow. */
export function nestsDeeperThan(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (limit === 0) return true;
  for (const child of Array.isArray(value) ? value : Object.values(value)) {
    if (nestsDeeperThan(child, limit - 1)) return true;
  }
  return false;
}

/** RFC 6901 §3 and §4: the reference tokens of a JSON pointer, unescaped. "" is the whole document. */
export function pointerTokens(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value a JSON pointer names, or undefined. Own properties only: `/__proto__` names nothing. */
export function atPointer(document: unknown, pointer: string): unknown {
  let value = document;
  for (const token of pointerTokens(pointer)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined;
    value = (value as Record<string, unknown>)[token];
  }
  return value;
}

/** JSON with sorted keys, for hashes that must not depend on the order of a file. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, child: unknown) =>
    isObject(child) ? Object.fromEntries(Object.entries(child).sort(([a], [b]) => (a < b ? -1 : 1))) : child,
  );
}

/**
 * JSON, or undefined. A whole number that a double cannot hold comes as text: rounded, the id of one record
 * would become that of another.
 */
export function parseJson(text: string): unknown {
  try {
    const plain: unknown = JSON.parse(text);
    // Only in JSON that is sound does every string end: in other text this search could take for ever.
    return /\d{16}/.test(text) ? JSON.parse(withExactNumbers(text)) : plain;
  } catch {
    return undefined;
  }
}

const withExactNumbers = (json: string): string =>
  json.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/gs, (token) =>
    token.startsWith('"') || Number.isSafeInteger(Number(token)) ? token : `"${token}"`,
  );
