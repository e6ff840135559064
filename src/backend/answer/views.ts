// Finds secrets that an answer holds in a form that cannot be blanked: encoded twice, in base64 with line breaks, in a
// member of an archive. The text is decoded in every way it may be encoded in, and what comes out is looked at in the
// same way again. Depth and size are bounded, and only those places are decoded that look encoded, so that an ordinary
// answer costs little more than being read once.
import { unescaped } from './decode/escapes.ts';
import { codesIn, codesView } from './decode/lists.ts';
import { members } from './decode/members.ts';
import { decodedRuns, runsOf } from './decode/runs.ts';
import { OF_PRINTABLE, stretches } from './decode/stretches.ts';
import { piecesIn } from './scrub.ts';
import type { Spelling } from './spelling.ts';

/** How often a text may have been encoded. */
const DEPTH = 6;
/** How many characters are looked at besides those of the answer itself. */
const VIEWED = 8 * 1024 * 1024;

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
