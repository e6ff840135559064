// Extracts values from answers of the backend, and composes values from other values.
import { createHash } from 'node:crypto';
import type { Composition, Extraction } from '../../config/schema/backend.ts';
import { hiddenFields, metaContent } from '../../formats/html-fields.ts';
import { atPointer, type JsonObject } from '../../formats/json.ts';
import { pattern } from '../../formats/pattern.ts';
import { replacePlaceholders } from '../../formats/template.ts';
import type { Jar } from '../http/jar.ts';
import type { BackendResponse } from '../http/response.ts';
import { fieldsOf } from './conditions.ts';

/** A value that a login step has extracted: a text, or the hidden fields of a page by name. */
export type Extracted = string | JsonObject;

/**
 * The value, or undefined when the answer does not have it. An empty text counts as missing, since an empty token
 * is no token. Throws a PageTooDeepError.
 */
export function extract(extraction: Extraction, response: BackendResponse, jar: Jar): Extracted | undefined {
  if ('hidden_fields' in extraction) {
    const fields = hiddenFields(
      response.body,
      extraction.hidden_fields === true ? undefined : extraction.hidden_fields,
    );
    return Object.keys(fields).length > 0 ? fields : undefined;
  }
  return textIn(extraction, response, jar) || undefined;
}

function textIn(
  extraction: Exclude<Extraction, { hidden_fields: unknown }>,
  response: BackendResponse,
  jar: Jar,
): string | undefined {
  if ('cookie' in extraction) return jar.value(extraction.cookie);
  if ('regex' in extraction) {
    const texts = extraction.header === undefined ? [response.body] : response.headers(extraction.header);
    return texts.map((text) => pattern(extraction.regex).group(text)).find((group) => group !== undefined);
  }
  if ('header' in extraction) return response.header(extraction.header);
  if ('meta' in extraction) return metaContent(response.body, extraction.meta);
  if ('form_field' in extraction) return fieldsOf(response).get(extraction.form_field);
  const value = atPointer(response.document, extraction.json);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

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
