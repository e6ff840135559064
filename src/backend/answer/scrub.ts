// a legacy page may repeat the session it was called with, as ";jsessionid=…" in links or as a CSRF token in a
// script. Every such secret is replaced by "[redacted]" before the answer becomes a result. What cannot be replaced,
// because it is encoded together with something else, is found in views.ts, and the answer is withheld.
import { REDACTED } from '../../core/secret.ts';
import type { Json } from '../../formats/json.ts';
import type { BackendToken } from '../port.ts';
import type { Spelling } from './spelling.ts';

export { type Spelling, spellings } from './spelling.ts';

/** The secret values of a backend token. `open`: names of values that are not secret (`session.public`). */
export function secretsOf({ cookies, values }: BackendToken, open: readonly string[] = []): string[] {
  const kept = Object.entries(values).filter(([name]) => !open.includes(name));
  return [...cookies.map((c) => String((c as { value?: unknown }).value ?? '')), ...kept.map(([, value]) => value)];
}

/**
 * The value with every spelling blanked in texts and in names of members; a number that contains one is replaced.
 * `json`: the value as JSON text, in which it is looked whether there is anything to blank at all.
 */
export function scrub(value: Json, secrets: readonly Spelling[], json = JSON.stringify(value)): Json {
  // Backslashes are doubled in JSON, so that script escapes are recognised only in the texts themselves.
  return json.includes('\\\\') || scrubText(json, secrets) !== json ? blank(value, secrets) : value;
}

function blank(value: Json, secrets: readonly Spelling[]): Json {
  if (typeof value === 'string') return scrubText(value, secrets);
  if (typeof value === 'number') return scrubText(String(value), secrets) === String(value) ? value : REDACTED;
  if (Array.isArray(value)) return value.map((item) => blank(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  const names = new Set<string>();
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      let name = scrubText(key, secrets);
      // Two names that are blanked alike stay two members.
      for (let n = 2; names.has(name); n++) name = `${scrubText(key, secrets)} ${n}`;
      names.add(name);
      return [name, blank(item, secrets)];
    }),
  );
}

/** A letter or digit as a percent code, a character reference or a script escape. */
export const SPELT_OUT =
  /%(?:3\d|[46][1-9a-f]|[57][\da])|&#(?:x0*(?:3\d|[46][1-9a-f]|[57][\da])|0*(?:4[89]|5[0-7]|6[5-9]|[78]\d|9[07-9]|1[01]\d|12[0-2]))|\\u|\\x/i;

/** The text with every spelling replaced by "[redacted]", and every large piece of a session's secret. */
export function scrubText(text: string, secrets: readonly Spelling[]): string {
  let clean = text;
  // Most answers have none of the characters with which others are spelt; then only the plain form can occur.
  const spelt = text.includes('%') || text.includes('&') || text.includes('\\');
  const anySpelt = spelt && SPELT_OUT.test(text);
  for (const { value, loose, loosest, encoded, chunks, least } of secrets) {
    // Before the plain form, which may be the beginning of another: of "&#38;" a "&" would be blanked, and the rest stay.
    const pattern = anySpelt ? loosest() : loose;
    if (spelt && pattern) clean = clean.replace(pattern, REDACTED);
    if (clean.includes(value)) clean = clean.replaceAll(value, REDACTED);
    for (const other of encoded) if (clean.includes(other)) clean = clean.replaceAll(other, REDACTED);
    for (const chunk of chunks) if (clean.includes(chunk)) clean = blankPieces(clean, chunk, value, least);
  }
  return clean;
}

/** Blanks each piece of a secret around a chunk of it that has at least so many characters. */
function blankPieces(text: string, chunk: string, secret: string, least: number): string {
  let clean = '';
  let done = 0;
  for (const [from, to] of piecesIn(text, chunk, secret, least)) {
    if (from < done) continue;
    clean += `${text.slice(done, from)}${REDACTED}`;
    done = to;
  }
  return clean + text.slice(done);
}

/**
 * Where a text has at least so many characters of a secret side by side, a chunk of it among them. Where text goes on
 * without a break although the secret does otherwise, that is another value which looks alike: the UUIDs of one host
 * share their ends.
 */
export function* piecesIn(
  text: string,
  chunk: string,
  secret: string,
  least: number,
): Generator<[from: number, to: number]> {
  const at = secret.indexOf(chunk);
  for (let i = text.indexOf(chunk); i >= 0; i = text.indexOf(chunk, i + 1)) {
    let before = 0;
    while (before < at && before < i && text[i - before - 1] === secret[at - before - 1]) before++;
    let after = chunk.length;
    while (at + after < secret.length && i + after < text.length && text[i + after] === secret[at + after]) after++;
    const goesOn =
      (before < at && isWord(text[i - before - 1])) || (at + after < secret.length && isWord(text[i + after]));
    if (before + after >= least && !goesOn) yield [i - before, i + after];
  }
}

const isWord = (character: string | undefined): boolean => character !== undefined && /[A-Za-z0-9]/.test(character);
