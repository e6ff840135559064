// An answer of the backend as the rest of this part reads it.
import { parseJson } from '../../formats/json.ts';
import type { Received } from './dispatch.ts';

/** An answer of the backend. `body` and `document` are decoded when they are first read. */
export interface BackendResponse {
  status: number;
  contentType: string;
  readonly location: string | undefined;
  readonly setCookies: string[];
  /** The first header of this name, in any case. */
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  /** The body as it was received. */
  readonly bytes: Buffer;
  /** The body as text, in the character set that the header or the page names. */
  readonly body: string;
  /** The body parsed as JSON, or undefined when it is none. */
  readonly document: unknown;
}

/** Makes an answer of what was received. */
export const responseOf = (received: Received): BackendResponse => new Response(received);

/**
 * A class, because an object literal with accessors has a hidden class of its own each time it is made, which V8 keeps, with
 * all that the accessors know of, until the next full collection.
 */
class Response implements BackendResponse {
  readonly status: number;
  readonly contentType: string;
  readonly bytes: Buffer;
  readonly #headers: Received['headers'];
  #text: string | undefined;
  #document: { value: unknown } | undefined;

  constructor({ status, headers, body }: Received) {
    this.status = status;
    this.bytes = body;
    this.#headers = headers;
    this.contentType = this.header('content-type') ?? '';
  }

  get location(): string | undefined {
    return this.header('location');
  }

  get setCookies(): string[] {
    return [this.#headers['set-cookie'] ?? []].flat();
  }

  header(name: string): string | undefined {
    const value = this.#headers[name.toLowerCase()];
    return Array.isArray(value) ? value[0] : value;
  }

  headers(name: string): readonly string[] {
    return [this.#headers[name.toLowerCase()] ?? []].flat();
  }

  get body(): string {
    this.#text ??= decode(this.bytes, this.contentType);
    return this.#text;
  }

  get document(): unknown {
    this.#document ??= { value: parseJson(this.body) };
    return this.#document.value;
  }
}

/** The seconds that a Retry-After header asks for, which has a number or an HTTP date; 0 when it cannot be read. */
export function retryAfter(value: string | undefined, now: number): number {
  if (value === undefined) return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  const at = Date.parse(value);
  return Number.isNaN(at) ? 0 : Math.max(0, (at - now) / 1000);
}

const UTF_8 = new TextDecoder();

/**
 * What windows-1252 has at 0x80 to 0x9F, and with it everything that calls itself Latin-1 or ASCII (WHATWG Encoding §9.1).
 * The decoder of some releases of Node gives control characters there, without a word.
 */
const WINDOWS_1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/** Old applications answer in Latin-1 and say so in a header or in the page. An unknown charset is read as UTF-8. */
function decode(body: Buffer, contentType: string): string {
  const charset = /charset="?([\w-]+)/i.exec(contentType)?.[1] ?? charsetOfPage(body);
  if (charset === undefined || /^utf-?8$/i.test(charset)) return UTF_8.decode(body);
  try {
    const decoder = new TextDecoder(charset);
    if (decoder.encoding !== 'windows-1252') return decoder.decode(body);
    return body.toString('latin1').replace(/[\x80-\x9f]/g, (c) => WINDOWS_1252[c.charCodeAt(0) - 0x80] as string);
  } catch {
    return UTF_8.decode(body);
  }
}

/** The character set that a page names at its beginning. A document of JSON is no page, whatever its texts say. */
function charsetOfPage(body: Buffer): string | undefined {
  if (body[0] === OPEN_OBJECT || body[0] === OPEN_ARRAY) return undefined;
  const start = body.toString('latin1', 0, 1024);
  return /^<\?xml[^>]*\bencoding=["']([\w-]+)|<meta[^>]*\bcharset=["']?([\w-]+)/i.exec(start)?.slice(1).find(Boolean);
}

const OPEN_OBJECT = 0x7b;
const OPEN_ARRAY = 0x5b;
