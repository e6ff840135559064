// Turns a good answer into the result of a tool: parses it as the tool says, selects a part, blanks secrets, limits
// the size and checks it against the schema that clients were shown.
import type { ResultConfig, ToolConfig } from '../../config/schema/tool.ts';
import type { RefusalCode } from '../../decision/refusal-codes.ts';
import { textOf } from '../../formats/html/text.ts';
import { atPointer, isObject, type Json, nestsDeeperThan } from '../../formats/json.ts';
import { compileSchema, type Validate } from '../../formats/json-schema.ts';
import { query } from '../../formats/query.ts';
import { xmlToJson } from '../../formats/xml.ts';
import type { BackendResponse } from '../http/response.ts';
import type { Blob } from '../port.ts';
import { mediaTypeOf, redirectTarget } from './conditions.ts';
import { type Spelling, scrub, scrubText } from './scrub.ts';
import { holdsEncoded, holdsEncodedJson, holdsSecret } from './views.ts';

/**
 * A result, or why the answer gives none. `text`: the value as JSON, where that is at hand. `value` is null beside a `blob`. `detail` has no value of the answer.
 * `withheld`: the answer holds a secret of the session in a form that cannot be blanked.
 */
export type Read =
  | { ok: true; value: Json; text?: string | undefined; blob?: Blob }
  | { ok: false; code: RefusalCode; detail: string; withheld?: boolean };

/** Reads the answers to one tool. Its schema and selectors are compiled once, when it is created. */
export interface Reader {
  /** The parsed document of one page of a list (JSON or XML), from which `readPages` takes the items. */
  document(response: BackendResponse): { ok: true; value: Json } | Extract<Read, { ok: false }>;
  /** The finished result of one answer. `secrets`: what must not occur in it. */
  read(response: BackendResponse, secrets: readonly Spelling[]): Read;
  /** Finishes a parsed value: applies JMESPath, blanks secrets, checks the size, wraps it and checks the schema. */
  finish(value: Json, secrets: readonly Spelling[]): Read;
}

const MAX_NESTING = 64;
const CUT = '\n[truncated]';

/** `base`: the URL of the backend. Throws when the schema of the result does not compile. */
export function createReader({ result, request, effect }: ToolConfig, base: URL): Reader {
  const page = result.as === 'html' ? textOf(result.select ?? []) : undefined;
  const { finish, finishText, tooLarge } = createFinisher(result);

  function document(response: BackendResponse): ReturnType<Reader['document']> {
    // RFC 9110 §15.3.5 and §15.3.6: the request succeeded, and the answer has no content.
    if (response.status === 204 || response.status === 205) return { ok: true, value: null };
    // Many applications answer a write that they have done with 200, 201 or 202 and nothing else.
    if (effect !== 'read' && response.body.trim() === '') return { ok: true, value: null };
    const wrong = wrongType(response, result);
    if (wrong !== undefined) return unusable(wrong);
    const parsed =
      result.as === 'xml'
        ? xmlToJson(response.body, { lists: result.lists, nesting: MAX_NESTING })
        : (response.document as Json | undefined);
    if (parsed === undefined)
      return unusable(result.as === 'xml' ? 'not well-formed XML, or with a document type' : 'not JSON');
    if (nestsDeeperThan(parsed, MAX_NESTING)) return unusable(`nests deeper than ${MAX_NESTING}`);
    const value = request.jsonrpc && isObject(parsed) ? (parsed.result as Json) : parsed;
    return { ok: true, value };
  }

  function readDocument(response: BackendResponse, secrets: readonly Spelling[]): Read {
    const parsed = document(response);
    if (!parsed.ok) return parsed;
    const at = parsed.value === null ? '' : (result.pointer ?? '');
    const value = atPointer(parsed.value, at) as Json | undefined;
    return value === undefined ? unusable(`nothing at ${at}`) : finish(value, secrets);
  }

  function readLocation(response: BackendResponse, secrets: readonly Spelling[]): Read {
    const target = redirectTarget(response, base);
    if (!target) return unusable('not a redirect on the backend');
    // A path parameter such as ";jsessionid=…" carries the session and says nothing about the place.
    return finish({ location: `${target.path.replace(/;[^/]*/g, '')}${target.query}` }, secrets);
  }

  function readText(response: BackendResponse, secrets: readonly Spelling[]): Read {
    const wrong = wrongType(response, result);
    if (wrong !== undefined) return unusable(wrong);
    const text = page ? page(response.body) : response.body;
    return text === undefined ? unusable('the page has none of the parts of "select"') : finishText(text, secrets);
  }

  function readBlob(response: BackendResponse, secrets: readonly Spelling[]): Read {
    const wrong = wrongType(response, result);
    if (wrong !== undefined) return unusable(wrong);
    const { bytes } = response;
    if (bytes.length > result.max_bytes) return tooLarge(bytes.length);
    if (holdsSecret(bytes, secrets)) return withheld;
    const mediaType = mediaTypeOf(response);
    return { ok: true, value: null, blob: { mediaType, base64: bytes.toString('base64') } };
  }

  return {
    document,
    finish,
    read(response, secrets) {
      const { as } = result;
      switch (as) {
        case 'json':
        case 'xml':
          return readDocument(response, secrets);
        case 'status':
          return finish({ status: response.status }, secrets);
        case 'location':
          return readLocation(response, secrets);
        case 'binary':
          return readBlob(response, secrets);
        case 'html':
        case 'text':
          return readText(response, secrets);
        default:
          as satisfies never;
          return unusable('result.as is not known');
      }
    },
  };
}

const unusable = (detail: string): Extract<Read, { ok: false }> => ({
  ok: false,
  code: 'backend.response_unusable',
  detail,
});

const withheld: Read = { ...unusable('the session stands in it, encoded'), withheld: true };

/** What is done with every value that becomes a result, wherever it was taken from. */
function createFinisher(result: ResultConfig) {
  const validate: Validate | undefined = result.schema && compileSchema(result.schema);

  function shape(value: Json, text?: string): Read {
    const wrapped = result.wrap === undefined ? value : { [result.wrap]: value };
    const problem = validate?.(wrapped);
    return problem === undefined
      ? { ok: true, value: wrapped, text: wrapped === value ? text : undefined }
      : unusable(`the result does not match its schema: ${problem}`);
  }

  function finish(value: Json, secrets: readonly Spelling[]): Read {
    const picked = result.jmespath === undefined ? value : query(value, result.jmespath);
    if (picked === undefined) return unusable(`"${result.jmespath}" does not fit the answer`);
    const json = JSON.stringify(picked);
    const clean = scrub(picked, secrets, json);
    const text = clean === picked ? json : JSON.stringify(clean);
    const bytes = Buffer.byteLength(text);
    if (bytes > result.max_bytes) return tooLarge(bytes);
    return holdsEncodedJson(text, secrets) ? withheld : shape(clean, text);
  }

  /** Secrets are blanked before the text is cut, because a secret that was cut in half would not be recognised. */
  function finishText(text: string, secrets: readonly Spelling[]): Read {
    const clean = scrubText(text, secrets);
    const bytes = Buffer.byteLength(clean);
    if (bytes > result.max_bytes && !result.truncate) return tooLarge(bytes);
    if (holdsEncoded(clean, secrets)) return withheld;
    return shape(bytes > result.max_bytes ? cut(clean, result.max_bytes) : clean);
  }

  const tooLarge = (bytes: number): Read => ({
    ok: false,
    code: 'backend.response_too_large',
    detail: `the result has ${bytes} bytes, ${result.max_bytes} are allowed (result.max_bytes)`,
  });

  return { finish, finishText, tooLarge };
}

function wrongType(response: BackendResponse, { media_types }: ResultConfig): string | undefined {
  if (!media_types) return undefined;
  const type = mediaTypeOf(response);
  const fits = media_types.some((m) => (m.endsWith('/*') ? type.startsWith(m.slice(0, -1)) : type === m.toLowerCase()));
  return fits ? undefined : 'its content type is not among result.media_types';
}

/** Cuts the text to so many bytes of UTF-8, mark included, and never in the middle of a character. */
function cut(text: string, bytes: number): string {
  const end = Math.max(0, bytes - CUT.length);
  return `${Buffer.from(text)
    .subarray(0, end)
    .toString('utf8')
    .replace(/\uFFFD$/, '')}${CUT}`;
}
