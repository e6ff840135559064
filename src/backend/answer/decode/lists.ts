// Decodes bytes that are written as a list of numbers, or as hex in groups.
import { character } from './escapes.ts';
import { OF_CODES, OF_HEX, stretches } from './stretches.ts';

/** Bytes as numbers: "39 66 38", "0x39, 0x66", "57,102", one on each line; or hex in groups: "3966 38aa", "3966-38aa". */
const CODES = /(?:\b(?:0x)?[0-9a-f]{2,3}\b[\s,:;.-]{1,20}){7,}(?:0x)?[0-9a-f]{2,3}\b/gi;
const GROUPS = /\b(?:[0-9a-f]{4,8}[\s:-]){3,}[0-9a-f]{2,8}\b(?!-[0-9a-f])/gi;
/** Eight such numbers have at least so many characters. */
const CODES_LENGTH = 23;

/** The lists of bytes in a text. */
export const codesIn = (text: string): string[] =>
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

/** The bytes of such lists, by their numbers in base 10 or 16, one list on each line. */
export const codesView = (texts: readonly string[], radix: 10 | 16): string =>
  texts
    .map((text) =>
      text
        .trim()
        .split(/[\s,:;.-]+/)
        .map((code) => character(Number.parseInt(code.replace(/^0x/i, ''), radix) & 0xff))
        .join(''),
    )
    .join('\n');
