// Extracts values from answers of the backend, and composes values from other values.
import { createHash } from 'node:crypto';
import type { Composition } from '../../config/schema/backend.ts';
import type { Extraction, Found } from '../../config/schema/extraction.ts';
import { hiddenFields, metaContent } from '../../formats/html/fields.ts';
import { atPointer, type JsonObject, parseJson } from '../../formats/json.ts';
import { pattern } from '../../formats/pattern.ts';
import { replacePlaceholders } from '../../formats/template.ts';
import type { Jar } from '../http/jar.ts';
import type { BackendResponse } from '../http/response.ts';
import { fieldsOf, type Source } from './conditions.ts';

/** A value that a login step has extracted: a text, or the hidden fields of a page by name. */
export type Extracted = string | JsonObject;

/**
 * The value, or undefined when the answer does not have it. An empty text counts as missing, since an empty token
 * is no token. Throws a PageTooDeepError.
 */
export function extract(extraction: Extraction, response: BackendResponse, jar: Jar): Extracted | undefined {
  if (!('hidden_fields' in extraction)) return textIn(extraction, response, jar) || undefined;
  const { in: outer, hidden_fields: form } = extraction;
  const source = outer ? textIn(outer, response, jar) : response.body;
  if (source === undefined) return undefined;
  const fields = hiddenFields(source, form === true ? undefined : form);
  return Object.keys(fields).length > 0 ? fields : undefined;
}

function textIn(extraction: Found, response: BackendResponse, jar: Jar): string | undefined {
  if ('cookie' in extraction) return jar.value(extraction.cookie);
  if ('regex' in extraction && extraction.header !== undefined)
    return groupIn(extraction.regex, response.headers(extraction.header));
  if ('header' in extraction && !('regex' in extraction)) return response.header(extraction.header);
  const outer = 'in' in extraction ? extraction.in : undefined;
  if (!outer) return within(extraction, response);
  const body = textIn(outer, response, jar);
  return body === undefined ? undefined : within(extraction, { body, document: parseJson(body) });
}

/** What an extraction finds in the body of an answer, or in a text that another has found there. */
function within(extraction: Found, source: Source): string | undefined {
  if ('regex' in extraction) return groupIn(extraction.regex, [source.body]);
  if ('meta' in extraction) return metaContent(source.body, extraction.meta);
  if ('form_field' in extraction) return fieldsOf(source).get(extraction.form_field);
  const value = 'json' in extraction ? atPointer(source.document, extraction.json) : undefined;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

const groupIn = (regex: string, texts: readonly string[]): string | undefined =>
  texts.map((text) => pattern(regex).group(text)).find((group) => group !== undefined);

/** The template in a composition, with or without an encoding around it. */
export const templateOf = (composition: Composition): string =>
  typeof composition === 'string' ? composition : (Object.values(composition)[0] ?? '');

/** Fills the template of a composition and encodes the whole text. `value` gives the value of each placeholder. */
export function compose(composition: Composition, value: (name: string) => string): string {
  if (typeof composition === 'string') return replacePlaceholders(composition, value);
  const [encoding, template] = Object.entries(composition)[0] as [keyof typeof ENCODE, string];
  return ENCODE[encoding](replacePlaceholders(template, value));
}

const digest = (algorithm: string) => (text: string) => createHash(algorithm).update(text).digest('hex');

/** Digests are in hex. MD5 and SHA-1 exist for old login forms that ask for them; nothing of ours relies on them. */
const ENCODE = {
  base64: (text: string) => Buffer.from(text).toString('base64'),
  base64url: (text: string) => Buffer.from(text).toString('base64url'),
  hex: (text: string) => Buffer.from(text).toString('hex'),
  url: (text: string) => encodeURIComponent(Buffer.from(text).toString()),
  md5: digest('md5'),
  sha1: digest('sha1'),
  sha256: digest('sha256'),
};
