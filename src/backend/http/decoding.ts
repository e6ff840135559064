// Content-Encoding of answers (RFC 9110 §8.4). Every request asks for none, and some backends compress all the same; others
// name an encoding that encodes nothing. What is not unpacked here could not be searched for a login page or a secret.
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';
import { EncodedError, TooLargeError } from './failures.ts';

type Unpack = (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const unpackGzip: Unpack = promisify(gunzip);
const unpackZlib: Unpack = promisify(inflate);
const unpackRaw: Unpack = promisify(inflateRaw);

/** "deflate" is the zlib format (RFC 9110 §8.4.1.2), and some send the bare one. */
const unpackDeflate: Unpack = (body, options) => {
  const zlib = ((body[0] ?? 0) & 0x0f) === 8 && (((body[0] ?? 0) << 8) | (body[1] ?? 0)) % 31 === 0;
  return (zlib ? unpackZlib : unpackRaw)(body, options);
};

const UNPACK: Record<string, Unpack> = {
  gzip: unpackGzip,
  'x-gzip': unpackGzip,
  deflate: unpackDeflate,
  br: promisify(brotliDecompress) as Unpack,
};
/** Registered encodings that are not unpacked here. All other names encode nothing. */
const FOREIGN = ['compress', 'x-compress', 'zstd', 'dcb', 'dcz', 'exi', 'aes128gcm', 'pack200-gzip'];
/** More layers are no backend's honest answer. */
const MOST_LAYERS = 3;

/** The body without its encodings, in a thread of the pool. Rejects with an EncodedError, or a TooLargeError beyond `limit`. */
export async function decoded(body: Buffer, encoding: string, limit: number): Promise<Buffer> {
  const names = encoding.split(',').map((name) => name.trim().toLowerCase());
  const layers = names.filter((name) => Object.hasOwn(UNPACK, name));
  if (body.length === 0) return body;
  if (layers.length > MOST_LAYERS || names.some((name) => FOREIGN.includes(name))) throw new EncodedError();
  let bytes = body;
  for (const name of layers.reverse()) {
    try {
      bytes = await (UNPACK[name] as Unpack)(bytes, { maxOutputLength: limit });
    } catch (thrown) {
      throw (thrown as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
        ? new TooLargeError()
        : new EncodedError();
    }
  }
  return bytes;
}
