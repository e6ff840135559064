// Decodes what is spelt out: percent codes, character references of HTML and escapes of scripts, all at once. Where one
// holds another, the result is decoded again by whoever asks.
import { SPELT_OUT } from '../scrub.ts';
import type { Spelling } from '../spelling.ts';

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
export function unescaped(text: string, secrets: readonly Spelling[]): string {
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

/** A character by its code point; nothing for what is none. */
export const character = (point: number): string => (point <= 0x10ffff ? String.fromCodePoint(point) : '');
