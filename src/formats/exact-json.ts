// Reads JSON that somebody else has written, so that what is read is what was meant. JSON.parse rounds numbers
// without a word, which makes the id of one record that of another, and of two equal keys it takes the last where
// another parser takes the first.

/** A number in a JSON text that a double cannot hold. It stands where the number stood. */
export class InexactNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** The value, in which each number is exact or an InexactNumber, or what is wrong with the text. */
export type ExactJson = { ok: true; value: unknown } | { ok: false; problem: 'duplicate_key' | 'misread' };

/**
 * Finishes what JSON.parse made of a valid text. Its time is linear in the text, and it does not recurse. Numbers
 * that do not survive are replaced within `value`.
 */
export function exactJson(text: string, value: unknown): ExactJson {
  const scanned = scan(text);
  if (!scanned) return { ok: false, problem: 'duplicate_key' };
  const { found, escaped } = scanned;
  const root = { value };
  // V8 of Node 24 (24.8 to 24.21 at least) now and then gives a key with an escape as another one, so those are looked for.
  if (!escaped.every((path) => isThere(root, ['value', ...path]))) return { ok: false, problem: 'misread' };
  for (const { path, number } of found) put(root, ['value', ...path], new InexactNumber(number));
  return { ok: true, value: root.value };
}

/**
 * Whether a number of a JSON text comes back with the same decimal value. A whole number must be safe besides: next
 * to 2^53 the number meant and the number read may differ although the latter is written the same.
 */
export function isExactNumber(text: string): boolean {
  // A double holds any decimal number of up to 15 digits, and none needs a thousand.
  if (text.length <= 15 && !/[eE]/.test(text)) return true;
  if (text.length > LONGEST_NUMBER) return false;
  const value = Number(text);
  if (!Number.isFinite(value)) return false;
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return false;
  return decimal(text) === decimal(String(value));
}

/** Longer numbers count as inexact, so that nobody can have large numbers computed with. */
const LONGEST_NUMBER = 1000;

/**
 * A number without an exponent, which old systems read as another one: they take "1e-7" for 1. Whole numbers beyond 2^53
 * do not come here.
 */
export function plainNumber(value: number): string {
  const text = String(value);
  const [, sign = '', first = '', fraction = '', exponent = ''] = /^(-?)(\d)(?:\.(\d+))?e-(\d+)$/.exec(text) ?? [];
  return first === '' ? text : `${sign}0.${'0'.repeat(Number(exponent) - 1)}${first}${fraction}`;
}

/** A decimal number as its digits, without zeros at either end, and the power of ten of the last one. */
function decimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  if (digits === '') return '0';
  const significant = digits.replace(/0+$/, '');
  // An exponent may have any number of digits.
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}

interface Inexact {
  path: (string | number)[];
  number: string;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The numbers of a valid JSON text that are not exact, and the paths of keys that are written with an escape; or undefined
 * when an object has a key twice.
 */
function scan(text: string): { found: Inexact[]; escaped: (string | number)[][] } | undefined {
  const found: Inexact[] = [];
  const escaped: (string | number)[][] = [];
  /** For each open array or object: the keys so far (undefined in an array), and the present key or index. */
  const keys: (Set<string> | undefined)[] = [];
  const path: (string | number)[] = [];
  let keyNext = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const start = i + 1;
      i = endOfString(text, start);
      if (!keyNext) continue;
      keyNext = false;
      const raw = text.slice(start, i);
      const key = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
      const known = keys[keys.length - 1] as Set<string>;
      if (known.has(key)) return undefined;
      known.add(key);
      path[path.length - 1] = key;
      if (key !== raw) escaped.push([...path]);
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const start = i;
      while (isNumberPart(text.charCodeAt(i + 1))) i++;
      const number = text.slice(start, i + 1);
      if (!isExactNumber(number)) found.push({ path: [...path], number });
    } else if (code === COMMA) {
      const last = path.length - 1;
      if (keys[last]) keyNext = true;
      else path[last] = (path[last] as number) + 1;
    } else if (code === OPEN_OBJECT) {
      keys.push(new Set());
      path.push('');
      keyNext = true;
    } else if (code === OPEN_ARRAY) {
      keys.push(undefined);
      path.push(0);
      keyNext = false;
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      keys.pop();
      path.pop();
      keyNext = false;
    }
  }
  return { found, escaped };
}

/** Where the quote is that ends the string whose first character is at `from`. */
function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

const isNumberPart = (code: number): boolean =>
  (code >= ZERO && code <= NINE) || code === 0x2e || code === 0x45 || code === 0x65 || code === 0x2b || code === MINUS;

/** Whether every step of a path is an own property. */
function isThere(document: object, path: readonly (string | number)[]): boolean {
  let at: unknown = document;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return false;
    at = (at as Record<string | number, unknown>)[step];
  }
  return true;
}

/** Sets a value that exists. Every step is an own property of the document, `__proto__` included. */
function put(document: object, path: readonly (string | number)[], value: unknown): void {
  let parent = document as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) parent = parent[step] as Record<string | number, unknown>;
  parent[path[path.length - 1] as string | number] = value;
}
