// Schemas of an OpenAPI document as JSON Schema 2020-12 for the arguments of a tool: OpenAPI 3.0 spells some
// things its own way, and a strict validator takes nothing it does not know.
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { schemaProblem } from '../formats/json-schema.ts';
import type { Loose, OpenApiDocument } from './document.ts';

/** Converts schemas of one tool; what they refer to is collected under `$defs`. */
export interface SchemaConverter {
  convert(schema: unknown): JsonObject;
  /** Definitions that were referred to, by name. */
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

export function createConverter(document: OpenApiDocument): SchemaConverter {
  const names = new Map<string, string>();
  const defs = new Map<string, JsonObject>();

  function reference(ref: string): JsonObject {
    const known = names.get(ref);
    if (known !== undefined) return { $ref: `#/$defs/${known}` };
    const target = document.at(ref);
    // What is not there says nothing, so anything fits it; the backend will check.
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

/** YAML has numbers that JSON has not. */
function isJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isJson);
}

/** What OpenAPI 3.0 spells its own way. */
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

/** ECMA-262 with the "u" flag, which is how a validator reads it. */
function isUnicodePattern(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  try {
    new RegExp(value, 'u');
    return true;
  } catch {
    return false;
  }
}

/** Whether a validator takes the schema as it is. */
export const isUsable = (schema: JsonObject): boolean => schemaProblem(schema) === undefined;

/** One line, at most so long, cut at a word. */
export function shorten(text: string, longest: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line.length <= longest) return line;
  return `${line.slice(0, longest).replace(/\s+\S*$/, '')} …`;
}
