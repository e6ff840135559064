// An answer of the backend as the rest of this part reads it.
import type { Dispatcher } from 'undici';
import { parseJson } from '../../formats/json.ts';

/** An answer of the backend. `body` and `document` are decoded when they are first read. */
export interface BackendResponse {
  status: number;
  contentType: string;
  location: string | undefined;
  setCookies: string[];
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

/** Makes an answer of what undici has received. */
export function responseOf(answer: Dispatcher.ResponseData, body: ArrayBuffer): BackendResponse {
  const header = (name: string): string | undefined => {
    const value = answer.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const contentType = header('content-type') ?? '';
  let text: string | undefined;
  let document: { value: unknown } | undefined;
  return {
    status: answer.statusCode,
    contentType,
    location: header('location'),
    setCookies: [answer.headers['set-cookie'] ?? []].flat(),
    header: (name) => header(name.toLowerCase()),
    headers: (name) => [answer.headers[name.toLowerCase()] ?? []].flat(),
    bytes: Buffer.from(body),
    get body() {
      text ??= decode(body, contentType);
      return text;
    },
    get document() {
      document ??= { value: parseJson(this.body) };
      return document.value;
    },
  };
}

/** The seconds that a Retry-After header asks for, which has a number or an HTTP date; 0 when it cannot be read. */
export function retryAfter(value: string | undefined, now: number): number {
  if (value === undefined) return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  const at = Date.parse(value);
  return Number.isNaN(at) ? 0 : Math.max(0, (at - now) / 1000);
}

/** Old applications answer in Latin-1 and say so in a header or in the page. An unknown charset is read as UTF-8. */
function decode(body: ArrayBuffer, contentType: string): string {
  const start = () => Buffer.from(body.slice(0, 1024)).toString('latin1');
  const charset =
    /charset="?([\w-]+)/i.exec(contentType)?.[1] ??
    /^<\?xml[^>]*\bencoding=["']([\w-]+)|<meta[^>]*\bcharset=["']?([\w-]+)/i.exec(start())?.slice(1).find(Boolean);
  try {
    return new TextDecoder(charset ?? 'utf-8').decode(body);
  } catch {
    return new TextDecoder().decode(body);
  }
}
