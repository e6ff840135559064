// Converts schemas of an OpenAPI document to JSON Schema 2020-12 for the arguments of a tool. OpenAPI 3.0 writes some
// things differently, and keywords that a strict validator does not know are left out, since it would refuse them.
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { schemaProblem } from '../formats/json-schema.ts';
import type { Loose, OpenApiDocument } from './document.ts';

/** Converts the schemas of one tool. Schemas that they refer to become definitions, to be put under `$defs`. */
export interface SchemaConverter {
  convert(schema: unknown): JsonObject;
  /** The definitions that were referred to so far, in the order of their names. */
  definitions(): JsonObject;
}

const PLAIN = new Set([
  ...['title', 'description', 'type', 'enum', 'const', 'default', 'required'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minLength', 'maxLength', 'minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties'],
]);
const SCHEMAS = new Set(['items', 'additionalProperties', 'not', 'contains', 'propertyNames', 'if', 'then', 'else']);
const LISTS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const TABLES = new Set(['properties', 'patternProperties']);
const FORMATS = new Set([
  ...['date', 'time', 'date-time', 'duration', 'uri', 'uri-reference', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid'],
  ...['int32', 'int64', 'float', 'double', 'byte'],
]);
const DEEPEST = 60;

/** A converter for one tool. Whatever it cannot convert becomes a schema that accepts any value. */
export function createConverter(document: OpenApiDocument): SchemaConverter {
  const names = new Map<string, string>();
  const defs = new Map<string, JsonObject>();

  function reference(ref: string): JsonObject {
    const known = names.get(ref);
    if (known !== undefined) return { $ref: `#/$defs/${known}` };
    const target = document.at(ref);
    // A reference to nothing says nothing about the value, so any value is accepted and the backend checks it.
    if (!isObject(target)) return {};
    const wanted = (ref.split('/').at(-1) ?? 'schema').replace(/[^\w.-]/g, '_') || 'schema';
    const taken = new Set(names.values());
    let name = wanted;
    for (let i = 2; taken.has(name); i++) name = `${wanted}_${i}`;
    names.set(ref, name);
    defs.set(name, convert(target, 0));
    return { $ref: `#/$defs/${name}` };
  }

  function convert(schema: unknown, depth: number): JsonObject {
    if (!isObject(schema) || depth > DEEPEST) return {};
    if (typeof schema.$ref === 'string') return reference(schema.$ref);
    const result: JsonObject = {};
    for (const [key, value] of Object.entries(schema)) {
      if (PLAIN.has(key)) {
        if (isJson(value)) result[key] = value as Json;
      } else if (SCHEMAS.has(key)) result[key] = typeof value === 'boolean' ? value : convert(value, depth + 1);
      else if (LISTS.has(key) && Array.isArray(value)) result[key] = value.map((item) => convert(item, depth + 1));
      else if (TABLES.has(key) && isObject(value))
        result[key] = Object.fromEntries(Object.entries(value).map(([name, item]) => [name, convert(item, depth + 1)]));
      else if (key === 'format' && FORMATS.has(String(value))) result.format = String(value);
      else if (key === 'pattern' && isUnicodePattern(value)) result.pattern = value as string;
    }
    return settle(result, schema);
  }

  return {
    convert: (schema) => convert(schema, 0),
    definitions: () => Object.fromEntries([...defs].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** Whether a value can be written as JSON: YAML also has infinity and "not a number". */
function isJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isJson);
}

/** Rewrites what OpenAPI 3.0 writes in its own way: exclusive limits as booleans, and `nullable`. */
function settle(result: JsonObject, source: Loose): JsonObject {
  for (const [limit, exclusive] of [
    ['minimum', 'exclusiveMinimum'],
    ['maximum', 'exclusiveMaximum'],
  ] as const) {
    if (typeof result[exclusive] !== 'boolean') continue;
    if (result[exclusive] && result[limit] !== undefined) {
      result[exclusive] = result[limit] as Json;
      delete result[limit];
    } else delete result[exclusive];
  }
  if (source.nullable === true && typeof result.type === 'string') {
    result.type = [result.type, 'null'];
    if (Array.isArray(result.enum) && !result.enum.includes(null)) result.enum = [...result.enum, null];
  }
  if (!Array.isArray(result.required) || result.required.length === 0) delete result.required;
  if (typeof result.description === 'string') result.description = shorten(result.description, 200);
  if (result.items !== undefined && Array.isArray(result.items)) delete result.items;
  return result;
}

/** Whether a pattern compiles with the "u" flag of ECMA-262, with which validators of JSON Schema compile it. */
function isUnicodePattern(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  try {
    new RegExp(value, 'u');
    return true;
  } catch {
    return false;
  }
}

/** Whether the validator of the connector accepts the schema. */
export const isUsable = (schema: JsonObject): boolean => schemaProblem(schema) === undefined;

/** The text in one line. A longer one is cut after `longest` characters, at the end of a word, and gets " …". */
export function shorten(text: string, longest: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line.length <= longest) return line;
  return `${line.slice(0, longest).replace(/\s+\S*$/, '')} …`;
}
