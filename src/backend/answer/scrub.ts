// a legacy page may repeat the session it was called with, as ";jsessionid=…" in links or as a CSRF token in a
// script. Every such secret is replaced by "[redacted]" before the answer becomes a result.

import { REDACTED } from '../../core/secret.ts';
import type { Json } from '../../formats/json.ts';
import type { BackendToken } from '../port.ts';

/** Secrets with fewer characters are not blanked: they would occur in ordinary text as well. */
const SHORTEST = 6;

/** One way in which a secret may be written: an exact text, or a global pattern. */
export type Spelling = string | RegExp;

/** The secret values of a backend token. `open`: names of values that are not secret (`session.public`). */
export function secretsOf({ cookies, values }: BackendToken, open: readonly string[] = []): string[] {
  const kept = Object.entries(values).filter(([name]) => !open.includes(name));
  return [...cookies.map((c) => String((c as { value?: unknown }).value ?? '')), ...kept.map(([, value]) => value)];
}

/**
 * Every way in which each secret could be written in an answer. Longer secrets come first: blanking a secret that
 * is part of a longer one would leave the rest of the longer one in the text. Those below `shortest` are left out.
 */
export function spellings(secrets: readonly string[], shortest = SHORTEST): Spelling[] {
  const plain = secrets.flatMap((secret) => [secret, unquoted(secret), percentDecoded(secret)]);
  const all = [...new Set(plain)].filter((secret) => secret.length >= shortest).sort((a, b) => b.length - a.length);
  return [...all.map(anySpelling), ...new Set(all.flatMap(encoded))];
}

/** The value with every spelling blanked in texts and in names of members; a number that contains one is replaced. */
export function scrub(value: Json, secrets: readonly Spelling[]): Json {
  if (typeof value === 'string') return scrubText(value, secrets);
  if (typeof value === 'number') return scrubText(String(value), secrets) === String(value) ? value : REDACTED;
  if (Array.isArray(value)) return value.map((item) => scrub(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [scrubText(key, secrets), scrub(item, secrets)]),
  );
}

/** The text with every spelling replaced by "[redacted]". */
export function scrubText(text: string, secrets: readonly Spelling[]): string {
  let clean = text;
  for (const secret of secrets)
    if (typeof secret !== 'string' || clean.includes(secret)) clean = clean.replaceAll(secret, REDACTED);
  return clean;
}

/**
 * Whether the bytes contain a spelling; characters beyond ASCII are not found as plain UTF-8. Blanking would break a
 * binary format, so such a result is refused whole.
 */
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
 * A pattern for the secret in which each character that is not a letter or a digit may be written plainly, as a
 * percent code, as an HTML character reference or as a script escape, independently of the others.
 */
function anySpelling(secret: string): RegExp {
  // In a secret with backslashes, an optional backslash before each character would make matching ambiguous and
  // exponentially slow, so that form is left out.
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
  // Longer forms come first, so that the backslash of "\\u005c" is not taken for the whole character.
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

/** Encodings of the secret as a whole, which a pattern by characters cannot cover: JSON, hex and base64. */
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

/**
 * Base64 of the secret inside a longer text. `offset` (0 to 2) is its position within a group of three bytes. The
 * first and last characters depend on its neighbours as well, so only those between them are returned.
 */
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
