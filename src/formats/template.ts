// Placeholders in request templates: "{name}" is replaced, "{{" is a literal brace. A value can
// never change the structure of a request; the encoding for each place is in backend/request.ts.
import type { Json } from './json.ts';

const PLACEHOLDER = /\{\{|\{([A-Za-z_][\w.-]*)\}/g;

/** The text parts of one request, each with its path in the configuration. */
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

/** Names of the placeholders in a template, in order. */
export function placeholders(template: string): string[] {
  return [...template.matchAll(PLACEHOLDER)].flatMap((match) => match[1] ?? []);
}

/** The placeholder's name when the template is nothing else, so that the value keeps its type. */
export function solePlaceholder(template: string): string | undefined {
  const match = /^\{([A-Za-z_][\w.-]*)\}$/.exec(template);
  return match?.[1];
}

export function replacePlaceholders(template: string, value: (name: string) => string): string {
  return template.replaceAll(PLACEHOLDER, (whole, name: string | undefined) =>
    name === undefined ? whole.slice(1) : value(name),
  );
}

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
