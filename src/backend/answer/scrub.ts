// a legacy page may echo the session it was called with (";jsessionid=…" in links, a CSRF
// token in a script). Whatever of a token comes back is blanked before it can become a result.

import { REDACTED } from '../../core/secret.ts';
import type { Json } from '../../formats/json.ts';
import type { BackendToken } from '../port.ts';

/** Shorter values would blank ordinary text. */
const SHORTEST = 6;

/** Texts and patterns that are looked for. */
export type Spelling = string | RegExp;

/** The values of a token that must not come back. `open`: names of values that are no secret. */
export function secretsOf({ cookies, values }: BackendToken, open: readonly string[] = []): string[] {
  const kept = Object.entries(values).filter(([name]) => !open.includes(name));
  return [...cookies.map((c) => String((c as { value?: unknown }).value ?? '')), ...kept.map(([, value]) => value)];
}

/** How each secret could be spelled in an answer. Longest first, so that none hides another. */
export function spellings(secrets: readonly string[], shortest = SHORTEST): Spelling[] {
  const plain = secrets.flatMap((secret) => [secret, unquoted(secret), percentDecoded(secret)]);
  const all = [...new Set(plain)].filter((secret) => secret.length >= shortest).sort((a, b) => b.length - a.length);
  return [...all.map(anySpelling), ...new Set(all.flatMap(encoded))];
}

/** The value with every spelling blanked, in keys and numbers too. */
export function scrub(value: Json, secrets: readonly Spelling[]): Json {
  if (typeof value === 'string') return scrubText(value, secrets);
  if (typeof value === 'number') return scrubText(String(value), secrets) === String(value) ? value : REDACTED;
  if (Array.isArray(value)) return value.map((item) => scrub(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [scrubText(key, secrets), scrub(item, secrets)]),
  );
}

export function scrubText(text: string, secrets: readonly Spelling[]): string {
  let clean = text;
  for (const secret of secrets)
    if (typeof secret !== 'string' || clean.includes(secret)) clean = clean.replaceAll(secret, REDACTED);
  return clean;
}

/** Whether any spelling stands in the bytes. Bytes cannot be blanked: what holds one is refused. */
export function holdsSecret(bytes: Buffer, secrets: readonly Spelling[]): boolean {
  const text = bytes.toString('latin1');
  return secrets.some((secret) => (typeof secret === 'string' ? text.includes(secret) : text.search(secret) >= 0));
}

const NAMED: Record<string, string> = {
  '&': 'amp',
  '<': 'lt',
  '>': 'gt',
  '"': 'quot',
  "'": 'apos',
  '=': 'equals',
  '+': 'plus',
  '/': 'sol',
};

/**
 * One pattern for every mixture: each character that is not a letter or a digit may stand for itself, or be
 * written as a percent code, a character reference or an escape of a script, whatever its neighbours do.
 */
function anySpelling(secret: string): RegExp {
  // Where a backslash may escape and be escaped, one text could be read in more ways than there is time for.
  const escapes = !secret.includes('\\');
  const source = [...secret].map((c) => (/^[A-Za-z0-9]$/.test(c) ? c : `(?:${forms(c, escapes).join('|')})`)).join('');
  return new RegExp(source, 'g');
}

function forms(c: string, escapes: boolean): string[] {
  const point = c.codePointAt(0) ?? 0;
  const hex = point.toString(16);
  const named = NAMED[c];
  const utf16 = [...Array(c.length).keys()].map(
    (i) => `\\\\u${anyCase(c.charCodeAt(i).toString(16).padStart(4, '0'))}`,
  );
  // The longest first: a backslash must not be taken for a whole "\\u005c".
  return [
    utf16.join(''),
    ...(point < 256 ? [`\\\\x${anyCase(hex.padStart(2, '0'))}`] : []),
    [...Buffer.from(c)].map((byte) => `%${anyCase(byte.toString(16).padStart(2, '0'))}`).join(''),
    `&#0*${point};`,
    `&#[xX]0*${anyCase(hex)};`,
    ...(named ? [`&${named};`] : []),
    ...(escapes ? [`\\\\${escaped(c)}`] : []),
    escaped(c),
  ];
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
const anyCase = (text: string): string => text.replace(/[a-f]/gi, (c) => `[${c.toLowerCase()}${c.toUpperCase()}]`);

/** Hex, base64 and JSON of the whole secret, which no mixture covers. */
function encoded(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString('hex');
  return [
    JSON.stringify(secret).slice(1, -1),
    hex,
    hex.toUpperCase(),
    ...[0, 1, 2].flatMap((offset) => base64At(bytes, offset)),
  ];
}

/** Base64 of the bytes inside a longer text that begins `offset` bytes earlier: the part that is sure. */
function base64At(bytes: Buffer, offset: number): string[] {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const first = Math.ceil((offset * 8) / 6);
  const last = Math.floor(((offset + bytes.length) * 8) / 6);
  const part = text.slice(first, last);
  return part.length >= SHORTEST + 2 ? [part, part.replaceAll('+', '-').replaceAll('/', '_')] : [];
}

const unquoted = (text: string): string => text.replace(/^"(.*)"$/s, '$1');

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
