// Opens compressed members: gzip, entries of ZIP archives, and zlib streams.
import { constants, inflateRawSync } from 'node:zlib';

/** How many places of one text are tried as the beginning of a compressed member, and how large one may become. */
const TRIED = 2000;
const INFLATED = 4 * 1024 * 1024;

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
export function* members(text: string, budget: { readonly left: number }): Generator<string> {
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
