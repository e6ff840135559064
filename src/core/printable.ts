/**
 * Somebody else's text in one line: nothing in it ends a line, a comment or a record, moves a cursor or turns
 * the direction of what follows.
 */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
