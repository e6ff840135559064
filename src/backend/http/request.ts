// Builds a request from its template. Each place encodes values in its own way, so that an argument of a client
// can never add a path segment, a query parameter or a header, nor change the structure of the body.
import type { RequestTemplate } from '../../config/schema/request.ts';
import { replacePlaceholders } from '../../formats/template.ts';
import { buildBody, encodePairs } from './body.ts';
import { fill, text, UnbuildableError, type Values } from './values.ts';

/** A request with all values in place, without the session, which is attached when it is sent. */
export interface BuiltRequest {
  method: RequestTemplate['method'];
  /** Path and query, beginning with "/", relative to the origin of the backend. */
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/**
 * `basePath`: path of the backend's URL, without a slash at its end. A query parameter, form field, JSON member, header,
 * XML attribute or XML element that lacks a value is left out. Throws an UnbuildableError for a value that cannot stand there.
 */
export function buildRequest(template: RequestTemplate, values: Values, basePath = ''): BuiltRequest {
  const query = encodePairs(template.query, values);
  const headers: Record<string, string> = {};
  for (const [name, source] of Object.entries(template.headers ?? {})) {
    const value = fill(source, values, name);
    if (value !== undefined) headers[name] = headerValue(value, name);
  }
  const body = buildBody(template, values);
  if (body) headers['content-type'] = body.type;
  return {
    method: template.method,
    path: `${basePath}${fillPath(template.path, values)}${query && `?${query}`}`,
    headers,
    body: body?.text,
  };
}

/** Headers made from values of a session. Throws an UnbuildableError for a value that a header cannot carry. */
export function fillHeaders(templates: Record<string, string>, values: Values): Record<string, string> {
  return Object.fromEntries(
    Object.entries(templates).map(([name, source]) => [name, headerValue(whole(source, values, name), name)]),
  );
}

/** A session without one of its values is no session. */
function whole(template: string, values: Values, name: string): string {
  const value = fill(template, values, name);
  if (value === undefined) throw new UnbuildableError(`${name}: the session has no value for it`);
  return value;
}

/**
 * Cookies made from values of a session, as `name=value`. Throws an UnbuildableError for a value that is empty or
 * no cookie value (RFC 6265 §4.1.1): one with ";" would add a second cookie.
 */
export function fillCookies(templates: Record<string, string>, values: Values): string[] {
  return Object.entries(templates).map(([name, source]) => {
    const value = whole(source, values, name);
    if (!/^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/.test(value))
      throw new UnbuildableError(
        `cookie ${name}: empty, or with a character that a cookie cannot have; encode it with "compose"`,
      );
    return `${name}=${value}`;
  });
}

function fillPath(template: string, values: Values): string {
  const path = replacePlaceholders(template, (name) => {
    const value = text(values(name), name);
    // A server that decodes the path before it splits it into segments would see an encoded "/" as a real one.
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

function headerValue(value: string, name: string): string {
  if (!/^[\x20-\x7e]*$/.test(value) || value !== value.trim())
    throw new UnbuildableError(`header ${name}: only printable ASCII can stand here; encode it with "compose"`);
  return value;
}
