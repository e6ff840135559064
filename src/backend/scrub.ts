// a legacy page may echo the session it was called with (";jsessionid=…" in links, a CSRF
// token in a script). Whatever of a token comes back is blanked before it can become a result.
import type { Json } from '../core/json.ts';
import { REDACTED } from '../core/secret.ts';
import type { BackendToken } from './port.ts';

/** Shorter values would blank ordinary text. */
const SHORTEST = 6;

/** The spellings of a token's values that are looked for. Longest first, so that none hides another. */
export function spellings({ cookies, values }: BackendToken): string[] {
  const secrets = [
    ...cookies.map((cookie) => String((cookie as { value?: unknown }).value ?? '')),
    ...Object.values(values),
  ];
  const all = secrets
    .filter((secret) => secret.length >= SHORTEST)
    .flatMap((secret) => {
      const bytes = Buffer.from(secret);
      return [
        secret,
        encodeURIComponent(secret),
        bytes.toString('base64').replace(/=+$/, ''),
        bytes.toString('base64url'),
        bytes.toString('hex'),
        bytes.toString('hex').toUpperCase(),
      ];
    });
  return [...new Set(all)].sort((a, b) => b.length - a.length);
}

/** The value with every spelling blanked, in keys too. The same value when there is nothing to blank. */
export function scrub(value: Json, secrets: readonly string[]): Json {
  if (typeof value === 'string') return scrubText(value, secrets);
  if (Array.isArray(value)) return value.map((item) => scrub(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [scrubText(key, secrets), scrub(item, secrets)]),
  );
}

/** Whether a raw body holds any spelling at all: the usual "no" is one pass and no copy. */
export function holds(body: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => body.includes(secret));
}

function scrubText(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) if (clean.includes(secret)) clean = clean.replaceAll(secret, REDACTED);
  return clean;
}
