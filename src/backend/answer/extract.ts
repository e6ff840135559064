// Takes values out of answers, and makes values of others.
import { createHash } from 'node:crypto';
import type { Composition, Extraction } from '../../config/schema/backend.ts';
import { hiddenFields, metaContent } from '../../formats/html.ts';
import { atPointer, type JsonObject } from '../../formats/json.ts';
import { pattern } from '../../formats/pattern.ts';
import { replacePlaceholders } from '../../formats/template.ts';
import type { BackendResponse } from '../http/http.ts';
import type { Jar } from '../http/jar.ts';
import { fieldsOf } from './conditions.ts';

/** Values of a login on its way: texts, and the hidden fields of a page. */
export type Extracted = string | JsonObject;

/** Undefined when there is nothing, which includes an empty text: an empty token is no token. */
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

/** The template of a composition, whatever its encoding. */
export const templateOf = (composition: Composition): string =>
  typeof composition === 'string' ? composition : (Object.values(composition)[0] ?? '');

export function compose(composition: Composition, value: (name: string) => string): string {
  if (typeof composition === 'string') return replacePlaceholders(composition, value);
  const [encoding, template] = Object.entries(composition)[0] as [keyof typeof ENCODE, string];
  return ENCODE[encoding](replacePlaceholders(template, value));
}

const digest = (algorithm: string) => (text: string) => createHash(algorithm).update(text).digest('hex');

/** MD5 and SHA-1 are what some old login forms ask for; nothing of ours rests on them. */
const ENCODE = {
  base64: (text: string) => Buffer.from(text).toString('base64'),
  base64url: (text: string) => Buffer.from(text).toString('base64url'),
  hex: (text: string) => Buffer.from(text).toString('hex'),
  url: (text: string) => encodeURIComponent(Buffer.from(text).toString()),
  md5: digest('md5'),
  sha1: digest('sha1'),
  sha256: digest('sha256'),
};
