// Finds secrets that an answer holds in a form that cannot be blanked: encoded twice, in base64 with line breaks, in a
// member of an archive. The text is decoded in every way it may be encoded in, and what comes out is looked at in the
// same way again. Depth and size are bounded, and only those places are decoded that look encoded, so that an ordinary
// answer costs little more than being read once.
import { constants, inflateRawSync } from 'node:zlib';
import { piecesIn, SPELT_OUT } from './scrub.ts';
import type { Spelling } from './spelling.ts';

/** How often a text may have been encoded. */
const DEPTH = 6;
/** How many characters are looked at besides those of the answer itself. */
const VIEWED = 8 * 1024 * 1024;
/** The shortest run of characters that is taken for base64 or hex: twelve bytes of base64, eight of hex. */
const RUN = 16;
/** How many places of one text are tried as the beginning of a compressed member, and how large one may become. */
const TRIED = 2000;
const INFLATED = 4 * 1024 * 1024;

/** Whether a text, which has been blanked, still holds a secret or a large piece of one in some encoding. */
export function holdsEncoded(text: string, secrets: readonly Spelling[]): boolean {
  return secrets.length > 0 && inViews(text, secrets, 0, { left: text.length + VIEWED });
}

/** The same for a value as JSON text. A line break in a text of it is one for the runs of base64, too. */
export const holdsEncodedJson = (json: string, secrets: readonly Spelling[]): boolean =>
  holdsEncoded(json.includes('\\') ? json.replace(/\\[nrt]/g, '\n') : json, secrets);

/** The same for bytes, in which the plain forms are looked for as well. */
export function holdsSecret(bytes: Buffer, secrets: readonly Spelling[]): boolean {
  const text = bytes.toString('latin1');
  return secrets.length > 0 && look(text, secrets, 0, { left: text.length + VIEWED }, true);
}

interface Budget {
  left: number;
}

/** Looks at a text itself, and then at what it may be an encoding of. `bytes`: each character is one byte. */
function look(text: string, secrets: readonly Spelling[], depth: number, budget: Budget, bytes: boolean): boolean {
  budget.left -= text.length;
  if (text === '' || budget.left < 0) return false;
  if (secrets.some((secret) => stands(text, secret))) return true;
  if (depth >= DEPTH) return false;
  if (!bytes) return inViews(text, secrets, depth, budget);
  // One after the other, so that no more than one member is in memory for each level.
  for (const member of members(text, budget)) if (look(member, secrets, depth + 1, budget, true)) return true;
  if (!BINARY.test(text)) return inViews(text, secrets, depth, budget);
  const printable = stretches(text, PRINTABLE, OF_PRINTABLE).map(([from, to]) => text.slice(from, to));
  return inViews(printable.join('\n'), secrets, depth, budget) || withoutZeros(text, secrets, depth, budget);
}

/** UTF-16 and UTF-32 put zeros between the letters of ASCII. */
const withoutZeros = (text: string, secrets: readonly Spelling[], depth: number, budget: Budget): boolean =>
  text.includes('\0') && look(text.replaceAll('\0', ''), secrets, depth + 1, budget, true);

/** Bytes that no text has. Of such bytes only what could be text is decoded further: by chance they mean anything. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what tells bytes from text
const BINARY = /[\0-\x08\x0e-\x1f\x7f-\xff]/;
const PRINTABLE = 12;

function inViews(text: string, secrets: readonly Spelling[], depth: number, budget: Budget): boolean {
  const further = (view: string, bytes = false) => look(view, secrets, depth + 1, budget, bytes);
  if (withoutZeros(text, secrets, depth, budget) || further(unescaped(text, secrets), true)) return true;
  const codes = codesIn(text);
  if (codes.length > 0 && (further(codesView(codes, 16), true) || further(codesView(codes, 10), true))) return true;
  const runs = runsOf(text);
  if (runs.length === 0) return false;
  const folded = runs.join('\n').toLowerCase();
  if (secrets.some((secret) => secret.folded.some((base64) => folded.includes(base64)))) return true;
  for (const view of decodedRuns(runs)) if (further(view, true)) return true;
  return false;
}

/** Whether a secret, or a large piece of it, stands in a text as it is, or as UTF-8 where the text is bytes. */
function stands(text: string, { value, encoded, chunks, least }: Spelling): boolean {
  if (text.includes(value) || encoded.some((other) => text.includes(other))) return true;
  if (/[^\0-\x7f]/.test(value) && text.includes(Buffer.from(value).toString('latin1'))) return true;
  return chunks.some((chunk) => text.includes(chunk) && !piecesIn(text, chunk, value, least).next().done);
}

const MARKS = ['%', '&', '\\'];

/**
 * Whether decoding could bring anything to light that blanking has not seen: a letter or digit is spelt out; or the mark
 * of a further code is; or a character of base64, the end of a line, or what parts bytes in a list.
 */
const WORTH_DECODING = new RegExp(
  [
    SPELT_OUT.source,
    '%25[\\da-f]{2}|%(?:26|3B)(?:%23|#|\\w{2,8}(?:;|%3B))|%5c[ux\\d]',
    '&(?:amp|#0*38|#x0*26);?(?:#|\\w{2,8};)|&(?:percnt|#0*37|#x0*25);?[\\da-f]{2}|&(?:bsol|#0*92|#x0*5c);?[ux\\d]',
    '\\\\[\\\\0-7&%nrt/]',
    '%2[bf]|%3d|%0[ad]|&(?:plus|sol|equals|NewLine|#0*(?:43|47|61|10|13)|#x0*(?:2[bf]|3d|[ad]));?',
    '[\\da-f]{2}(?:%(?:20|09|2[cd]|3[ab])){1,3}(?:0x)?[\\da-f]{2,8}%',
  ].join('|'),
  'i',
);
/** The words that have a percent code, a character reference or an escape, one on each line, with all of them decoded. */
function unescaped(text: string, secrets: readonly Spelling[]): string {
  const marks = MARKS.filter((mark) => text.includes(mark));
  if (marks.length === 0) return '';
  const special = secrets.some(({ codes }) => codes.some((code) => text.includes(code)));
  if (!special && !WORTH_DECODING.test(text)) return '';
  return marks
    .flatMap((mark) => wordsAround(text, mark))
    .join('\n')
    .replace(ESCAPES, decoded);
}

/** The words around each mark. A word ends at white space, a quote or a bracket of HTML. */
function wordsAround(text: string, mark: string): string[] {
  const words: string[] = [];
  let done = 0;
  for (let i = text.indexOf(mark); i >= 0; i = text.indexOf(mark, done)) {
    let from = i;
    while (from > done && !endsWord(text.charCodeAt(from - 1))) from--;
    let to = i + 1;
    while (to < text.length && !endsWord(text.charCodeAt(to))) to++;
    words.push(text.slice(from, to));
    done = to;
  }
  return words;
}

const endsWord = (code: number): boolean =>
  code <= 0x20 || code === 0x22 || code === 0x27 || code === 0x3c || code === 0x3e;

const ESCAPES =
  /[%]([0-9a-f]{2})|\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]{1,8}\}|[0-3]?[0-7]{2}|[\s\S])|&(?:#\d{1,9}|#x[0-9a-f]{1,8}|\w{2,8});?/gi;

/** What one escape stands for. It is told by its first characters: groups of the pattern would cost more than this. */
function decoded(spelt: string): string {
  const [mark, kind = ''] = spelt;
  if (mark === '%') return character(Number.parseInt(spelt.slice(1), 16));
  if (mark === '\\') {
    if (spelt.length === 2) return 'nrt'.includes(kind) ? '\n' : kind;
    if (kind === 'x' || kind === 'u') return character(Number.parseInt(spelt.slice(spelt[2] === '{' ? 3 : 2), 16));
    return character(Number.parseInt(spelt.slice(1), 8));
  }
  const name = spelt.slice(1).replace(';', '');
  if (kind !== '#') return Object.hasOwn(NAMES, name) ? (NAMES[name] as string) : spelt;
  const hex = /x/i.test(name[1] ?? '');
  return character(Number.parseInt(name.slice(hex ? 2 : 1), hex ? 16 : 10));
}

/** Names of characters that a token may have; letters and digits have none. */
const NAMES: Record<string, string> = {
  ...{ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", sol: '/', plus: '+', equals: '=', colon: ':', semi: ';' },
  ...{ period: '.', comma: ',', lowbar: '_', percnt: '%', num: '#', excl: '!', quest: '?', dollar: '$', ast: '*' },
  ...{ lpar: '(', rpar: ')', lsqb: '[', rsqb: ']', lcub: '{', rcub: '}', verbar: '|', commat: '@', Hat: '^' },
  ...{ grave: '`', bsol: '\\', Tab: '\t', NewLine: '\n', nbsp: ' ' },
};

const character = (point: number): string => (point <= 0x10ffff ? String.fromCodePoint(point) : '');

/** Bytes as numbers: "39 66 38", "0x39, 0x66", "57,102", one on each line; or hex in groups: "3966 38aa", "3966-38aa". */
const CODES = /(?:\b(?:0x)?[0-9a-f]{2,3}\b[\s,:;.-]{1,20}){7,}(?:0x)?[0-9a-f]{2,3}\b/gi;
const GROUPS = /\b(?:[0-9a-f]{4,8}[\s:-]){3,}[0-9a-f]{2,8}\b(?!-[0-9a-f])/gi;
/** Eight such numbers have at least so many characters. */
const CODES_LENGTH = 23;

const codesIn = (text: string): string[] =>
  stretches(text, CODES_LENGTH, OF_CODES).flatMap(([from, to]) => {
    if (!mayBeCodes(text, from, to)) return [];
    const part = text.slice(from, to);
    const grouped = (part.match(GROUPS) ?? []).map((group) => group.replace(/[^0-9a-f]/gi, '').replace(/../g, '$& '));
    return [...(part.match(CODES) ?? []), ...grouped];
  });

/** Whether separators and groups of digits are as in a list of bytes. A UUID, of which an answer may be full, is none. */
function mayBeCodes(text: string, from: number, to: number): boolean {
  let [parted, run, longest] = [0, 0, 0];
  for (let i = from; i < to; i++) {
    if (OF_HEX[text.charCodeAt(i)]) longest = Math.max(longest, ++run);
    else [parted, run] = [parted + (run > 0 ? 1 : 0), 0];
  }
  return parted >= 7 || (parted >= 3 && longest <= 8);
}

/** The characters of a class, by their code below 128. */
const classOf = (members: RegExp): readonly boolean[] =>
  Array.from({ length: 128 }, (_, code) => members.test(String.fromCharCode(code)));
const OF_CODES = classOf(/[0-9a-fx\s,:;.-]/i);
const OF_RUNS = classOf(/[A-Za-z0-9+/_-]/);
const OF_PRINTABLE = classOf(/[\t\n\r\x20-\x7e]/);
const OF_HEX = classOf(/[0-9a-f]/i);

/**
 * Where at least so many characters of a class stand side by side. Only every `least`-th character is looked at, until
 * one is of the class: a longer stretch cannot hide between.
 */
function stretches(text: string, least: number, of: readonly boolean[]): [from: number, to: number][] {
  const found: [number, number][] = [];
  for (let probe = least - 1, done = 0; probe < text.length; probe += least) {
    if (!of[text.charCodeAt(probe)]) continue;
    let from = probe;
    while (from > done && of[text.charCodeAt(from - 1)]) from--;
    let to = probe + 1;
    while (to < text.length && of[text.charCodeAt(to)]) to++;
    if (to - from >= least) found.push([from, to]);
    done = to;
    probe = Math.max(probe, to);
  }
  return found;
}

const codesView = (texts: readonly string[], radix: 10 | 16): string =>
  texts
    .map((text) =>
      text
        .trim()
        .split(/[\s,:;.-]+/)
        .map((code) => character(Number.parseInt(code.replace(/^0x/i, ''), radix) & 0xff))
        .join(''),
    )
    .join('\n');

/**
 * Runs of base64 or hex characters. Those that only a line break parts are one: encoders break lines, mostly after 64
 * or 76 characters.
 */
function runsOf(text: string): string[] {
  const runs: string[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const [from, to] of stretches(text, RUN, OF_RUNS)) {
    const run = text.slice(from, to);
    if (from - last <= 4 && /^\s*[\r\n]\s*$/.test(text.slice(last, from))) runs[runs.length - 1] += run;
    else runs.push(run);
    last = to;
    // What follows a line break may be the short end of the same run.
    if (text.charCodeAt(to) > 0x0d) continue;
    const rest = /^\s{1,3}([A-Za-z0-9+/_-]{1,15})(?![A-Za-z0-9+/_-])/.exec(text.slice(to, to + 20));
    if (rest?.[1]) runs[runs.length - 1] += rest[1];
  }
  return runs;
}

/**
 * The bytes of the runs: as base64 from each of the first four characters on, because a word or a slash before it is of
 * the same characters; and as hex from either of the first two.
 */
function* decodedRuns(runs: readonly string[]): Generator<string> {
  // Base64 of text has capital letters at least in every fourth place; a path or a long word has none.
  const capital = runs.filter((run) => /[A-Z]/.test(run));
  for (let skip = 0; skip < 4 && capital.length > 0; skip++)
    yield capital.map((run) => Buffer.from(skip === 0 ? run : run.slice(skip), 'base64').toString('latin1')).join('\n');
  const digits = runs.flatMap((run) => stretches(run, RUN, OF_HEX).map(([from, to]) => run.slice(from, to)));
  for (let skip = 0; skip < 2 && digits.length > 0; skip++)
    yield digits.map((text) => Buffer.from(text.slice(skip), 'hex').toString('latin1')).join('\n');
}

/**
 * Where a compressed member may begin: gzip, an entry of a ZIP archive, or a zlib stream (RFC 1950 §2.2) with any window
 * and without a dictionary, as in PDF and PNG.
 */
const MEMBER = new RegExp(
  [
    '\\x1f\\x8b\\x08',
    'PK\\x03\\x04',
    ...[0x18, 0x28, 0x38, 0x48, 0x58, 0x68, 0x78].map((method) => {
      const flags = Array.from({ length: 256 }, (_, flag) => flag).filter(
        (flag) => (method * 256 + flag) % 31 === 0 && (flag & 0x20) === 0,
      );
      return `${String.fromCharCode(method).replace('(', '\\(')}[${flags.map((flag) => `\\x${flag.toString(16).padStart(2, '0')}`).join('')}]`;
    }),
  ].join('|'),
  'g',
);

/** What the compressed members of some bytes hold, as far as it is still looked at. */
function* members(text: string, budget: Budget): Generator<string> {
  let bytes: Buffer | undefined;
  let tried = 0;
  for (const { 0: mark, index } of text.matchAll(MEMBER)) {
    if (budget.left <= 0 || tried++ === TRIED) return;
    bytes ??= Buffer.from(text, 'latin1');
    const header = mark.startsWith('PK') ? entryHeader : mark.startsWith('\x1f') ? gzipHeader : () => 2;
    const data = bytes.subarray(index);
    const member = inflated(data.subarray(header(data)), Math.min(INFLATED, budget.left));
    if (member) yield member.toString('latin1');
  }
}

// How many bytes stand before the compressed data. Check sums after it are not looked at: they prove nothing here.
const entryHeader = (entry: Buffer): number => 30 + word(entry, 26) + word(entry, 28);
function gzipHeader(gzip: Buffer): number {
  const flags = gzip[3] ?? 0;
  let at = 10 + (flags & 4 ? 2 + word(gzip, 10) : 0);
  for (const named of [8, 16]) if (flags & named) at = gzip.indexOf(0, at) + 1 || gzip.length;
  return at + (flags & 2 ? 2 : 0);
}

const word = (bytes: Buffer, at: number): number => (at + 1 < bytes.length ? bytes.readUInt16LE(at) : 0);

/** Of what becomes too large, as much of the beginning as can be had by leaving off ends of the input. */
function inflated(bytes: Buffer, most: number): Buffer | undefined {
  for (let length = bytes.length; length > 0; length >>= 2) {
    try {
      const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: most };
      return inflateRawSync(bytes.subarray(0, length), options);
    } catch (thrown) {
      if ((thrown as { code?: unknown }).code !== 'ERR_BUFFER_TOO_LARGE') return undefined;
    }
  }
  return undefined;
}
