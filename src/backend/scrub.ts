// R-40: a legacy page may echo the session it was called with (";jsessionid=…" in links, a CSRF
// token in a script). Whatever of a token comes back is blanked before it can become a result.
import type { Json } from '../core/json.ts';
import { REDACTED } from '../core/secret.ts';
import type { BackendToken } from './port.ts';

/** Shorter values would blank ordinary text. */
const SHORTEST = 6;

/** The values of a token that must not come back. `open`: names of values that are no secret. */
export function secretsOf({ cookies, values }: BackendToken, open: readonly string[] = []): string[] {
  const kept = Object.entries(values).filter(([name]) => !open.includes(name));
  return [...cookies.map((c) => String((c as { value?: unknown }).value ?? '')), ...kept.map(([, value]) => value)];
}

/** The spellings that are looked for. Longest first, so that none hides another. */
export function spellings(secrets: readonly string[]): string[] {
  const plain = secrets.flatMap((secret) => [secret, unquoted(secret), percentDecoded(secret)]);
  const all = [...new Set(plain)].filter((secret) => secret.length >= SHORTEST).flatMap(spellingsOf);
  return [...new Set(all)].sort((a, b) => b.length - a.length);
}

/** The value with every spelling blanked, in keys and numbers too. */
export function scrub(value: Json, secrets: readonly string[]): Json {
  if (typeof value === 'string') return scrubText(value, secrets);
  if (typeof value === 'number') return secrets.includes(String(value)) ? REDACTED : value;
  if (Array.isArray(value)) return value.map((item) => scrub(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [scrubText(key, secrets), scrub(item, secrets)]),
  );
}

/** Whether any spelling stands in the bytes. Bytes cannot be blanked: what holds one is refused. */
export const holdsSecret = (bytes: Buffer, secrets: readonly string[]): boolean =>
  secrets.some((secret) => bytes.includes(secret));

export function scrubText(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) if (clean.includes(secret)) clean = clean.replaceAll(secret, REDACTED);
  return clean;
}

function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const percent = percentEncoded(secret);
  const html = secret.replace(
    /[&<>"']/g,
    (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? '&#39;',
  );
  const json = JSON.stringify(secret).slice(1, -1);
  return [
    secret,
    percent,
    percent.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    html,
    secret.replace(/[^A-Za-z0-9]/g, (c) => `&#${c.codePointAt(0)};`),
    json,
    json.replaceAll('/', '\\/'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
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

function percentEncoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    return text;
  }
}
