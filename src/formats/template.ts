// Placeholders in request templates: "{name}" is replaced, and "{{" is a literal brace. A value must never change
// the structure of a request; how it is encoded for each place is in backend/request.ts.
import type { Json } from './json.ts';

const PLACEHOLDER = /\{\{|\{([A-Za-z_][\w.-]*)\}/g;

/** One text of a request template, with its path in the configuration. */
export interface TemplatePart {
  path: (string | number)[];
  template: string;
}

interface Request {
  path: string;
  query?: Record<string, string> | undefined;
  headers?: Record<string, string> | undefined;
  form?: Record<string, string> | undefined;
  json?: Json | undefined;
  xml?: string | undefined;
  jsonrpc?: { params?: Json | undefined } | undefined;
}

/** The names of the placeholders in a template, in order; a name may come more than once. */
export function placeholders(template: string): string[] {
  return [...template.matchAll(PLACEHOLDER)].flatMap((match) => match[1] ?? []);
}

/**
 * The name of the placeholder when the template consists of nothing else, otherwise undefined. Such a value keeps
 * its type in JSON.
 */
export function solePlaceholder(template: string): string | undefined {
  const match = /^\{([A-Za-z_][\w.-]*)\}$/.exec(template);
  return match?.[1];
}

/**
 * Replaces each placeholder by what `value` answers for its name. The value must be encoded for its place
 * already.
 */
export function replacePlaceholders(template: string, value: (name: string) => string): string {
  return template.replaceAll(PLACEHOLDER, (whole, name: string | undefined) =>
    name === undefined ? whole.slice(1) : value(name),
  );
}

/** All texts of a request template that may have placeholders. */
export function templateParts(request: Request): TemplatePart[] {
  const table = (key: 'query' | 'headers' | 'form') =>
    Object.entries(request[key] ?? {}).map(([name, template]) => ({ path: [key, name], template }));
  return [
    { path: ['path'], template: request.path },
    ...table('query'),
    ...table('headers'),
    ...table('form'),
    ...jsonParts(request.json, ['json']),
    ...(request.xml === undefined ? [] : [{ path: ['xml'], template: request.xml }]),
    ...jsonParts(request.jsonrpc?.params, ['jsonrpc', 'params']),
  ];
}

function jsonParts(value: Json | undefined, path: (string | number)[]): TemplatePart[] {
  if (typeof value === 'string') return [{ path, template: value }];
  if (Array.isArray(value)) return value.flatMap((item, i) => jsonParts(item, [...path, i]));
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, item]) => jsonParts(item, [...path, key]));
  return [];
}
