/**
 * Puts foreign text on one line. Control and format characters become spaces, so the text cannot end a line,
 * comment or record, move the cursor, or reverse the direction of what follows.
 */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]+/gu, ' ');

/**
 * JSON on one line that no reader takes for several, or for other text than it is: besides what JSON.stringify
 * escapes (CR, LF and the rest below U+0020), also the line ends of Unicode (U+0085, U+2028, U+2029), the other control
 * characters and everything that is not seen or turns the direction of writing. It parses to the same value.
 */
export const jsonLine = (value: unknown): string => escapeUnseen(JSON.stringify(value));

/** The same for a text that is JSON already. */
export const escapeUnseen = (json: string): string =>
  NOT_PLAIN.test(json) && UNSEEN.test(json)
    ? json.replace(EACH_UNSEEN, (text) => text.split('').map(escaped).join(''))
    : json;

/** Most texts have none, and this is seen at a fraction of the cost. */
const NOT_PLAIN = /[^\x20-\x7e]/;
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;
const EACH_UNSEEN = new RegExp(UNSEEN, 'gu');
const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
