/**
 * Puts foreign text on one line. Control and format characters become spaces, so the text cannot end a line,
 * comment or record, move the cursor, or reverse the direction of what follows.
 */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
