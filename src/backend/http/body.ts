// Builds the bodies of requests. Each kind of body encodes values in its own way, so that no value can add a form
// field, a JSON member or an XML element.
import type { RequestTemplate } from '../../config/schema/request.ts';
import { isObject, type Json } from '../../formats/json.ts';
import { replacePlaceholders, solePlaceholder } from '../../formats/template.ts';
import { withoutAbsent, xmlText } from '../../formats/xml.ts';
import { fill, lacks, text, UnbuildableError, type Values } from './values.ts';

/** The id of every JSON-RPC request to a backend. One id is enough, since each request has an exchange of its own. */
export const RPC_ID = 1;

/** `type`: the Content-Type. `text`: the encoded body. */
export interface Body {
  type: string;
  text: string;
}

/** The body of a request, or undefined when the template has none. Throws an UnbuildableError. */
export function buildBody(template: RequestTemplate, values: Values): Body | undefined {
  const { form, hidden_fields, json, xml, jsonrpc, content_type } = template;
  if (form || hidden_fields !== undefined)
    return {
      type: 'application/x-www-form-urlencoded',
      text: encodePairs(form, values, hiddenOf(hidden_fields, values)),
    };
  if (xml !== undefined) return { type: content_type ?? 'application/xml', text: fillXml(xml, values) };
  if (json !== undefined)
    return { type: content_type ?? 'application/json', text: JSON.stringify(fillJson(json, values) ?? null) };
  if (jsonrpc) {
    const params = jsonrpc.params === undefined ? undefined : fillJson(jsonrpc.params, values);
    const message = { jsonrpc: '2.0', id: RPC_ID, method: jsonrpc.method, ...(params !== undefined && { params }) };
    return { type: content_type ?? 'application/json', text: JSON.stringify(message) };
  }
  return undefined;
}

/**
 * Names and values of a query or a form, percent-encoded. A template is left out when it lacks a value; one that is a
 * single placeholder is repeated for each item of a list. `first`: hidden fields of a page to send before
 * the others, except those that the template sets itself.
 */
export function encodePairs(
  templates: Record<string, string> | undefined,
  values: Values,
  first: Record<string, string> = {},
): string {
  const pairs = new URLSearchParams(Object.entries(first).filter(([name]) => !Object.hasOwn(templates ?? {}, name)));
  for (const [name, template] of Object.entries(templates ?? {})) {
    const sole = solePlaceholder(template);
    const value = sole === undefined ? fill(template, values, name) : values(sole);
    if (Array.isArray(value)) for (const item of value) pairs.append(name, text(item, name));
    else if (value !== undefined && value !== null) pairs.append(name, text(value, name));
  }
  return pairs.toString();
}

function hiddenOf(name: string | undefined, values: Values): Record<string, string> {
  const fields = name === undefined ? {} : values(name);
  if (!isObject(fields)) throw new UnbuildableError('hidden_fields: no such fields were extracted');
  return fields as Record<string, string>;
}

function fillJson(template: Json, values: Values): Json | undefined {
  if (typeof template === 'string') {
    const sole = solePlaceholder(template);
    return sole === undefined ? fill(template, values, 'json') : values(sole);
  }
  // Left out, an item would move those behind it to its place.
  if (Array.isArray(template)) return template.map((item) => fillJson(item, values) ?? null);
  if (typeof template !== 'object' || template === null) return template;
  const filled: [string, Json][] = [];
  for (const [key, item] of Object.entries(template)) {
    const value = fillJson(item, values);
    if (value !== undefined) filled.push([key, value]);
  }
  return Object.fromEntries(filled);
}

/** Values become XML text. The configuration was checked, so placeholders stand in text or attribute values only. */
function fillXml(template: string, values: Values): string {
  const present = withoutAbsent(template, (text) => lacks(text, values));
  if (present === '') throw new UnbuildableError('xml: the document element lacks a value');
  return replacePlaceholders(present, (name) => {
    const encoded = xmlText(text(values(name), 'xml'));
    if (encoded === undefined) throw new UnbuildableError(`xml: {${name}} has a character that XML cannot say`);
    return encoded;
  });
}
