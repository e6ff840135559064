// Fills a request template. Each place has its own encoding, so that a value can never change the
// structure of the request: not the path segments, not the header count, not the JSON.
import type { RequestTemplate } from '../config/request-schema.ts';
import type { Json } from '../core/json.ts';
import { placeholders, replacePlaceholders, solePlaceholder } from '../core/template.ts';

export interface BuiltRequest {
  method: RequestTemplate['method'];
  /** Path and query, below the origin. */
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/** Undefined: the optional argument was not given. */
export type Values = (name: string) => Json | undefined;

/** Thrown when a value cannot be put where the template wants it. Carries the place, never the value. */
export class UnbuildableError extends Error {
  override readonly name = 'UnbuildableError';
}

export function buildRequest(template: RequestTemplate, values: Values, basePath = ''): BuiltRequest {
  const query = encodePairs(template.query, values);
  const headers: Record<string, string> = {};
  for (const [name, text] of Object.entries(template.headers ?? {})) {
    const value = fillOptional(text, values, name);
    if (value !== undefined) headers[name] = headerValue(value, name);
  }
  let body: string | undefined;
  if (template.form) {
    body = encodePairs(template.form, values);
    headers['content-type'] = 'application/x-www-form-urlencoded';
  } else if (template.json !== undefined) {
    body = JSON.stringify(fillJson(template.json, values) ?? null);
    headers['content-type'] = 'application/json';
  }
  return {
    method: template.method,
    path: `${basePath}${fillPath(template.path, values)}${query && `?${query}`}`,
    headers,
    body,
  };
}

/** Header values of a session: the same rules, without a body. */
export function fillHeaders(templates: Record<string, string>, values: Values): Record<string, string> {
  return Object.fromEntries(
    Object.entries(templates).map(([name, text]) => [name, headerValue(fill(text, values, name), name)]),
  );
}

function fillPath(template: string, values: Values): string {
  const path = replacePlaceholders(template, (name) => {
    const value = text(values(name), name);
    // A server that decodes before it splits would see another path.
    if (value === '' || /[/\\\p{Cc}]/u.test(value))
      throw new UnbuildableError(`path: {${name}} is empty or has a character that a path segment must not have`);
    try {
      return encodeURIComponent(value);
    } catch {
      throw new UnbuildableError(`path: {${name}} is not well-formed Unicode`);
    }
  });
  if (path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment)))
    throw new UnbuildableError('path: a segment would be "." or ".."');
  return path;
}

function encodePairs(templates: Record<string, string> | undefined, values: Values): string {
  const pairs = new URLSearchParams();
  for (const [name, template] of Object.entries(templates ?? {})) {
    const sole = solePlaceholder(template);
    const value = sole === undefined ? fill(template, values, name) : values(sole);
    if (Array.isArray(value)) for (const item of value) pairs.append(name, text(item, name));
    else if (value !== undefined) pairs.append(name, text(value, name));
  }
  return pairs.toString();
}

function fillJson(template: Json, values: Values): Json | undefined {
  if (typeof template === 'string') {
    const sole = solePlaceholder(template);
    return sole === undefined ? fill(template, values, 'json') : values(sole);
  }
  if (Array.isArray(template))
    return template.map((item) => fillJson(item, values)).filter((item) => item !== undefined);
  if (typeof template !== 'object' || template === null) return template;
  const filled: [string, Json][] = [];
  for (const [key, item] of Object.entries(template)) {
    const value = fillJson(item, values);
    if (value !== undefined) filled.push([key, value]);
  }
  return Object.fromEntries(filled);
}

function fillOptional(template: string, values: Values, place: string): string | undefined {
  const names = placeholders(template);
  return names.length > 0 && names.every((name) => values(name) === undefined)
    ? undefined
    : fill(template, values, place);
}

function fill(template: string, values: Values, place: string): string {
  return replacePlaceholders(template, (name) => text(values(name) ?? '', place));
}

function text(value: Json | undefined, place: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new UnbuildableError(`${place}: only text, numbers and booleans can stand here`);
}

function headerValue(value: string, name: string): string {
  if (!/^[\x20-\x7e]*$/.test(value) || value !== value.trim())
    throw new UnbuildableError(`header ${name}: only printable ASCII can stand here`);
  return value;
}
