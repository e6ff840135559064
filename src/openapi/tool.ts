// Turns one operation of an OpenAPI document into a tool, or says why that is not possible.
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import type { Loose, OpenApiDocument } from './document.ts';
import { createConverter, isUsable, type SchemaConverter, shorten } from './json-schema.ts';
import { type Parameter, readParameters } from './parameters.ts';

/** One operation, as it stands in the document. */
export interface Operation {
  path: string;
  /** In capitals, such as "GET". */
  method: string;
  operation: Loose;
  /** The parameters of the path item, which all of its operations share. */
  shared: unknown;
}

/** `tool`: its entry under `tools` of a connector.yaml, not yet checked against the schema. */
export interface ImportedTool {
  tool: JsonObject;
  /** What somebody should look at before the tool goes live. */
  notes: string[];
}

/** A tool, or the reason why the operation cannot be one. */
export type Imported = { ok: true; imported: ImportedTool } | { ok: false; reason: string };

const EFFECTS: Record<string, 'read' | 'write' | 'destructive'> = {
  GET: 'read',
  HEAD: 'read',
  POST: 'write',
  PUT: 'write',
  PATCH: 'write',
  DELETE: 'destructive',
};
/** Writes with these methods may be repeated (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(['PUT', 'DELETE']);
/** A GET whose name has one of these words probably has an effect, and is imported as a write. */
const ACTS = new Set(
  `add approve cancel clear close confirm create delete disable enable execute import invite logout
   move publish purge remove reset restart revoke run send set start stop submit subscribe sync trigger
   unsubscribe update upload`.split(/\s+/),
);

/** `backend`: name of the backend that the tool belongs to. */
export function importOperation(
  { path, method, operation, shared }: Operation,
  backend: string,
  document: OpenApiDocument,
): Imported {
  const effect = EFFECTS[method];
  if (!effect) return { ok: false, reason: `${method} is not a method of tools` };
  const notes: string[] = [];
  const converter = createConverter(document);
  const parameters = readParameters(shared, operation.parameters, document, notes);
  if (typeof parameters === 'string') return { ok: false, reason: parameters };
  const missing = [...path.matchAll(/\{([^}]*)\}/g)].find(
    ([, name]) => !parameters.some((p) => p.in === 'path' && p.name === name),
  );
  if (missing) return { ok: false, reason: `the path has {${missing[1]}}, and no parameter describes it` };

  const taken = new Set<string>();
  const request: JsonObject = { method, path };
  const properties: JsonObject = {};
  const required: string[] = [];
  const add = (name: string, place: string, schema: JsonObject, isRequired: boolean): string => {
    const argument = unused(argumentName(name), place, taken);
    taken.add(argument);
    properties[argument] = schema;
    if (isRequired) required.push(argument);
    return argument;
  };
  for (const parameter of parameters) {
    const argument = add(parameter.name, parameter.in, schemaOf(parameter, converter), parameter.required);
    if (parameter.in === 'path')
      request.path = String(request.path).replaceAll(`{${parameter.name}}`, `{ ${argument} }`);
    else {
      const key = parameter.in === 'query' ? 'query' : 'headers';
      request[key] = { ...(request[key] as JsonObject | undefined), [parameter.name]: `{${argument}}` };
    }
  }
  // Placeholders are renamed in two steps: the new name of one parameter could be the old name of another.
  request.path = String(request.path).replace(/\{ ([^}]*) \}/g, '{$1}');

  // RFC 9110 §9.3.1: the body of a GET has no meaning. Some documents describe an empty one all the same.
  const given = method === 'GET' || method === 'HEAD' ? undefined : operation.requestBody;
  const body = readBody(given, document, converter, notes, add);
  if (typeof body === 'string') return { ok: false, reason: body };
  Object.assign(request, body);

  const acts = effect === 'read' && saysItActs(operation, path);
  if (acts) notes.push('a GET whose name says that it does something: taken for a write');
  const argumentsSchema: JsonObject = {
    type: 'object',
    properties,
    ...(required.length > 0 && { required }),
    ...(Object.keys(converter.definitions()).length > 0 && { $defs: converter.definitions() }),
  };
  if (!isUsable(argumentsSchema)) return { ok: false, reason: 'the schema of its arguments is not valid JSON Schema' };
  const answer = readAnswer(operation.responses, document);
  return {
    ok: true,
    imported: {
      notes,
      tool: {
        backend,
        description: describe(operation, method, path),
        effect: acts ? 'write' : effect,
        ...(IDEMPOTENT.has(method) && { idempotent: true }),
        arguments: argumentsSchema,
        request,
        ...answer,
      },
    },
  };
}

/** A parameter name as a placeholder can have it. Dots are replaced: "session.x" and "csrf.x" have a meaning. */
export const argumentName = (name: string): string =>
  name.replace(/[^A-Za-z0-9_-]+/g, '_').replace(/^[^A-Za-z_]+|_+$/g, '') || 'value';

function unused(name: string, place: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let other = `${place}_${name}`;
  for (let i = 2; taken.has(other); i++) other = `${place}_${name}_${i}`;
  return other;
}

function schemaOf({ schema, description }: Parameter, converter: SchemaConverter): JsonObject {
  const converted = converter.convert(schema);
  return description && converted.description === undefined && converted.$ref === undefined
    ? { ...converted, description: shorten(description, 200) }
    : converted;
}

type Add = (name: string, place: string, schema: JsonObject, isRequired: boolean) => string;

function readBody(
  value: unknown,
  document: OpenApiDocument,
  converter: SchemaConverter,
  notes: string[],
  add: Add,
): JsonObject | string {
  if (value === undefined) return {};
  const body = document.resolve(value);
  const content = isObject(body?.content) ? body.content : {};
  const types = Object.keys(content);
  if (types.length === 0) return {};
  const type =
    types.find((t) => /^application\/([\w.-]+\+)?json\b/i.test(t)) ?? types.find((t) => /form-urlencoded/i.test(t));
  if (type === undefined)
    return body?.required === true
      ? `a body of type ${types.join(', ')} cannot be made from a template`
      : skip(notes, types);
  const media = content[type];
  const source = isObject(media) ? media.schema : undefined;
  const schema = document.resolve(source) ?? {};
  // The tool always sends a body, so its required members are required arguments even if the body is optional.
  const needed = new Set(Array.isArray(schema.required) ? (schema.required as unknown[]) : []);
  const flat = isObject(schema.properties) && !['allOf', 'anyOf', 'oneOf'].some((key) => key in schema);
  if (/form-urlencoded/i.test(type)) {
    if (!flat) return 'a form whose fields are not listed';
    return formOf(schema.properties as Loose, needed, document, converter, notes, add);
  }
  const contentType = /^application\/json\b/i.test(type) ? {} : { content_type: type.split(';', 1)[0] as string };
  if (!flat) {
    const argument = add('body', 'body', converter.convert(source ?? {}), body?.required === true);
    return { json: `{${argument}}`, ...contentType };
  }
  const template: [string, Json][] = [];
  for (const [name, property] of Object.entries(schema.properties as Loose)) {
    if (document.resolve(property)?.readOnly === true) continue;
    if (name === '__proto__') {
      if (needed.has(name)) return `a property called "${name}" cannot be said`;
      notes.push(`the property "${name}" is left out`);
      continue;
    }
    template.push([name, `{${add(name, 'body', converter.convert(property), needed.has(name))}}`]);
  }
  return { json: Object.fromEntries(template), ...contentType };
}

function skip(notes: string[], types: string[]): JsonObject {
  notes.push(`its optional body (${types.join(', ')}) is left out`);
  return {};
}

function formOf(
  properties: Loose,
  needed: ReadonlySet<unknown>,
  document: OpenApiDocument,
  converter: SchemaConverter,
  notes: string[],
  add: Add,
): JsonObject | string {
  const form: [string, Json][] = [];
  for (const [name, property] of Object.entries(properties)) {
    if (document.resolve(property)?.type === 'object') {
      if (needed.has(name)) return `the form field "${name}" is an object`;
      notes.push(`the form field "${name}" is an object, and left out`);
      continue;
    }
    form.push([name, `{${add(name, 'body', converter.convert(property), needed.has(name))}}`]);
  }
  return { form: Object.fromEntries(form) };
}

/** How the answer is read, according to the first 2xx answer that the document describes, or else a redirect. */
function readAnswer(value: unknown, document: OpenApiDocument): JsonObject {
  const responses = isObject(value) ? value : {};
  const codes = Object.keys(responses).sort();
  const good = codes.filter((code) => /^2(\d\d|XX)$/i.test(code));
  const redirects = codes.filter((code) => /^3\d\d$/.test(code));
  if (good.length === 0 && redirects.length > 0)
    return { expect: [{ status: redirects.map(Number) }], result: { as: 'status' } };
  const response = document.resolve(responses[good[0] ?? 'default']);
  const types = Object.keys(isObject(response?.content) ? response.content : {});
  if (types.length === 0) return { result: { as: 'status' } };
  return { result: resultOf(types) };
}

function resultOf(types: string[]): JsonObject {
  if (types.some((type) => /[/+]json\b/i.test(type) || type === '*/*')) return { as: 'json' };
  if (types.some((type) => /html/i.test(type))) return { as: 'html' };
  if (types.some((type) => /[/+]xml\b/i.test(type))) return { as: 'xml' };
  if (types.every((type) => /^text\//i.test(type))) return { as: 'text' };
  const plain = types
    .map((type) => (type.split(';', 1)[0] ?? '').trim())
    .filter((type) => /^[\w.+-]+\/([\w.+-]+|\*)$/.test(type));
  return plain.length > 0 ? { as: 'binary', media_types: plain as Json[] } : { as: 'text' };
}

function describe(operation: Loose, method: string, path: string): string {
  const summary = typeof operation.summary === 'string' ? operation.summary.trim() : '';
  const text = typeof operation.description === 'string' ? operation.description.trim() : '';
  const both = summary === '' || text.startsWith(summary) ? text : `${summary.replace(/\.?$/, '.')} ${text}`;
  const deprecated = operation.deprecated === true ? 'Deprecated. ' : '';
  return `${deprecated}${shorten(both, 400)}`.trim() || `${method} ${path}`;
}

/**
 * Whether a name of the operation has a word of ACTS: its first word, or either word of a name of two, such as
 * "logout", "userLogout" and "do-delete". Its names are its operationId, the last part of that, and the last fixed
 * segment of its path.
 */
function saysItActs(operation: Loose, path: string): boolean {
  const id = typeof operation.operationId === 'string' ? operation.operationId : '';
  const segment =
    path
      .split('/')
      .filter((part) => part !== '' && !part.includes('{'))
      .at(-1) ?? '';
  return [id, id.split(/[_./]/).at(-1) ?? '', segment].some((name) => {
    const words = name
      .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
      .toLowerCase()
      .split(/[^a-z]+/)
      .filter(Boolean);
    return (words.length <= 2 ? words : words.slice(0, 1)).some((word) => ACTS.has(word));
  });
}
