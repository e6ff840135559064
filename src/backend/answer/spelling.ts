// In how many ways a secret may be written. Each secret is prepared once, when its session is opened, and then looked
// for in every answer.

/** Secrets with fewer characters are not looked for: they would occur in ordinary text as well. */
const SHORTEST = 6;
/** Longer secrets have no patterns, which could not be compiled: their encoded forms are found in views.ts. */
const LONGEST_PATTERN = 1024;
/** Shorter secrets, and those without a digit, have no pieces: "inventory" of "inventory-user" is a word. */
const SHORTEST_IN_PIECES = 12;
/** How much of a session's secret must stand in a piece for the piece to count as the secret: this share of it, … */
const PART = 0.6;
/** … and never fewer characters than these. */
const SHORTEST_PART = 8;

/** A secret, prepared to be found. */
export interface Spelling {
  readonly value: string;
  /**
   * Each character that is no letter or digit may be a percent code, a character reference or a script escape.
   * Undefined for a secret of letters and digits, which then has its plain form only, and for a very long one.
   */
  readonly loose: RegExp | undefined;
  /** Any character may be. Made when it is first needed. */
  readonly loosest: () => RegExp | undefined;
  /** Its encodings as a whole: in JSON, hex and base64. */
  readonly encoded: readonly string[];
  /** The base64 among them in lower case, as a case-insensitive store gives it back. */
  readonly folded: readonly string[];
  /** Every piece of `least` characters contains one of these whole. Empty where pieces are not looked for. */
  readonly chunks: readonly string[];
  readonly least: number;
  /** How its characters that are neither letters nor digits are spelt in URLs and pages. Empty where no pieces are. */
  readonly codes: readonly string[];
}

export interface SpellingOptions {
  shortest?: number;
  /** Whether large pieces are looked for, too. A piece of a password may be an ordinary word. */
  pieces?: boolean;
}

/**
 * Prepares each secret, in its plain form, without quotes around it, and percent-decoded. Longer secrets come first:
 * blanking a secret that is part of a longer one would leave the rest of the longer one in the text.
 */
export function spellings(secrets: readonly string[], options: SpellingOptions | number = {}): Spelling[] {
  const { shortest = SHORTEST, pieces = false } = typeof options === 'number' ? { shortest: options } : options;
  const plain = secrets.flatMap((secret) => [secret, unquoted(secret), percentDecoded(secret)]);
  return [...new Set(plain)]
    .filter((secret) => secret.length >= shortest)
    .sort((a, b) => b.length - a.length)
    .map((secret) => prepare(secret, pieces));
}

function prepare(value: string, pieces: boolean): Spelling {
  const base64 = base64Of(value);
  const hex = Buffer.from(value).toString('hex');
  const json = JSON.stringify(value).slice(1, -1);
  const inPieces = pieces && value.length >= SHORTEST_IN_PIECES && /\d/.test(value);
  const least = inPieces ? Math.max(SHORTEST_PART, Math.ceil(value.length * PART)) : value.length;
  const long = value.length > LONGEST_PATTERN;
  // Hex in another case is the same token to most readers.
  const cases = /^(?=.*[a-f])[0-9a-f-]+$/i.test(value) ? [value.toUpperCase(), value.toLowerCase()] : [];
  let loosest: RegExp | undefined;
  return {
    value,
    loose: long || /^[A-Za-z0-9]*$/.test(value) ? undefined : pattern(value, /[A-Za-z0-9]/),
    loosest() {
      if (!long) loosest ??= pattern(value, /(?!)/);
      return loosest;
    },
    encoded: [...new Set([json, ...cases, hex, hex.toUpperCase(), ...base64])].filter((text) => text !== value),
    folded: base64.map((text) => text.toLowerCase()),
    chunks: inPieces && least < value.length ? chunksOf(value, least) : [],
    least,
    codes: inPieces ? codesOf(value) : [],
  };
}

/**
 * The pieces of a secret that every part of `least` characters contains at least one of. Of a URL that carries a session
 * only path and query count, and only what no "/" parts: scheme, host and folders are no secret.
 */
function chunksOf(value: string, least: number): string[] {
  const size = Math.max(4, Math.floor((least + 1) / 2));
  const runs = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value.replace(/^[^/]*\/\/[^/?#]*/, '').split('/') : [value];
  return runs
    .filter((run) => run.length >= least)
    .flatMap((run) =>
      Array.from({ length: Math.floor(run.length / size) }, (_, i) => run.slice(i * size, (i + 1) * size)),
    );
}

function codesOf(value: string): string[] {
  const special = [...new Set(value.match(/[^A-Za-z0-9_.~-]/g) ?? [])];
  return special.flatMap((c) => {
    const point = c.charCodeAt(0);
    const hex = point.toString(16).padStart(2, '0');
    return [`%${hex}`, `%${hex.toUpperCase()}`, `&#${point};`, `&#x${hex};`, ...(NAMED[c] ? [`&${NAMED[c]};`] : [])];
  });
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

/** A pattern for the secret in which each character, save those that are `plain`, may be written in any form. */
function pattern(secret: string, plain: RegExp): RegExp {
  // In a secret with backslashes, an optional backslash before each character would make matching ambiguous and
  // exponentially slow, so that form is left out.
  const escapes = !secret.includes('\\');
  const source = [...secret].map((c) => (plain.test(c) ? c : `(?:${forms(c, escapes).join('|')})`)).join('');
  return new RegExp(source, 'g');
}

function forms(c: string, escapes: boolean): string[] {
  const point = c.codePointAt(0) ?? 0;
  const hex = point.toString(16);
  const named = NAMED[c];
  const utf16 = [...Array(c.length).keys()].map(
    (i) => `\\\\u${anyCase(c.charCodeAt(i).toString(16).padStart(4, '0'))}`,
  );
  // A backslash before a letter means another character in most languages.
  const escapable = escapes && !/[A-Za-z0-9]/.test(c);
  // Longer forms come first, so that the backslash of "\\u005c" is not taken for the whole character.
  return [
    utf16.join(''),
    ...(point < 256 ? [`\\\\x${anyCase(hex.padStart(2, '0'))}`] : []),
    [...Buffer.from(c)].map((byte) => `%${anyCase(byte.toString(16).padStart(2, '0'))}`).join(''),
    `&#0*${point};?`,
    `&#[xX]0*${anyCase(hex)};?`,
    ...(named ? [`&${named};`] : []),
    ...(escapable ? [`\\\\${escaped(c)}`] : []),
    escaped(c),
  ];
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
const anyCase = (text: string): string => text.replace(/[a-f]/gi, (c) => `[${c.toLowerCase()}${c.toUpperCase()}]`);

/**
 * Base64 of the secret inside a longer text, in both alphabets, for each position within a group of three bytes. The
 * first and last characters depend on its neighbours as well, so only those between them are returned.
 */
function base64Of(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    const part = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return part.length >= SHORTEST + 2 ? [part, part.replaceAll('+', '-').replaceAll('/', '_')] : [];
  });
}

const unquoted = (text: string): string => text.replace(/^"(.*)"$/s, '$1');

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
