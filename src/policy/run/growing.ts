// Arguments for a tool that grow: as large as its schema allows, and made so that a rule which compares parts of a text with
// one another has as much to do as it can have. What a rule does may hang on what stands elsewhere, so the other arguments
// get what rules compare with.
import type { Json, JsonObject } from '../../formats/json.ts';
import { isObject } from '../../formats/json.ts';
import { closedSchema, compileSchema } from '../../formats/json-schema.ts';

/** Arguments of about `bytes` bytes, or fewer where the schema allows no more. */
export interface Growing {
  /** The argument that grows, or the text that all have which may. */
  name: string;
  of(bytes: number): JsonObject;
}

/** Texts that rules split at, when they name no other. */
const SEPARATORS = [' ', ',', '\n'];
const DEEPEST = 6;

/** `literals`: texts that rules compare with. */
export function growing(schema: JsonObject, literals: readonly string[]): Growing[] {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const separators = [...new Set([...SEPARATORS, ...literals.filter((text) => /^[^A-Za-z0-9]{1,3}$/.test(text))])];
  const contexts: (string | undefined)[] = [undefined, ...literals];
  const valid = compileSchema(closedSchema(schema));
  const isAllowed = (way: Growing) => valid(way.of(TRIED_BYTES)) === undefined;
  const exact = literals.map((literal) => ({ name: literal, of: () => others(properties, undefined, literal) }));
  const grown = Object.entries(properties).flatMap(([name, own]) =>
    fillings(own, separators, literals).flatMap((fill) =>
      contexts.map((literal) => ({
        name,
        of: (bytes: number) => ({ ...others(properties, name, literal), [name]: fill(bytes) }),
      })),
    ),
  );
  // What no call can carry says nothing about calls.
  return [...exact, ...grown].filter(isAllowed);
}

/** At which size it is looked whether the schema allows it. */
const TRIED_BYTES = 2048;

/** Small arguments, as far as the schema tells. */
export const plainArguments = (schema: JsonObject): JsonObject =>
  others(isObject(schema.properties) ? (schema.properties as JsonObject) : {}, undefined, undefined);

/** The other arguments: one that may be that text has it. */
function others(properties: JsonObject, except: string | undefined, literal: string | undefined): JsonObject {
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, own]) => {
      if (name === except || !isObject(own)) return [];
      if (literal !== undefined && allowsText(own, literal)) return [[name, literal]];
      return [[name, plain(own, DEEPEST)]];
    }),
  );
}

type Fill = (bytes: number) => Json;

/** Ways to fill one argument. Empty where it cannot grow. */
function fillings(schema: Json | undefined, separators: readonly string[], literals: readonly string[]): Fill[] {
  const own = isObject(schema) ? schema : {};
  if (Array.isArray(own.enum) || 'const' in own) return [];
  const types = typesOf(own);
  const fills: Fill[] = [];
  if (types.includes('string')) {
    const most = typeof own.maxLength === 'number' ? own.maxLength : Number.POSITIVE_INFINITY;
    const cut = (text: string) => text.slice(0, most);
    fills.push((bytes) => cut('a'.repeat(bytes)));
    for (const separator of separators) {
      fills.push((bytes) => cut(`a${separator}`.repeat(bytes / (separator.length + 1))));
      fills.push((bytes) => cut(words(bytes, separator)));
    }
    for (const literal of literals)
      if (literal.length > 1) fills.push((bytes) => cut(`${literal} `.repeat(bytes / (literal.length + 1))));
  }
  if (types.includes('array')) {
    const most = typeof own.maxItems === 'number' ? own.maxItems : Number.POSITIVE_INFINITY;
    const item = isObject(own.items) ? own.items : {};
    const text = typesOf(item).includes('string') && !Array.isArray(item.enum);
    const one = JSON.stringify(plain(item, DEEPEST)).length + 1;
    fills.push((bytes) =>
      Array.from({ length: Math.min(most, Math.ceil(bytes / (text ? 8 : one))) }, (_, i) =>
        text ? `a${i}` : plain(item, DEEPEST),
      ),
    );
  }
  if (types.includes('object') && own.additionalProperties !== false)
    fills.push((bytes) => Object.fromEntries(Array.from({ length: bytes / 12 }, (_, i) => [`k${i}`, 'a'])));
  return fills;
}

function words(bytes: number, separator: string): string {
  const parts: string[] = [];
  for (let [i, length] = [0, 0]; length < bytes; i += 1) {
    const word = `w${i.toString(36)}`;
    parts.push(word);
    length += word.length + separator.length;
  }
  return parts.join(separator);
}

/** A small value that the schema allows, as far as that is easily told. */
function plain(schema: JsonObject, depth: number): Json {
  if ('const' in schema) return schema.const as Json;
  if (Array.isArray(schema.enum)) return (schema.enum[0] ?? null) as Json;
  if ('default' in schema) return schema.default as Json;
  switch (typesOf(schema)[0]) {
    case 'integer':
    case 'number':
      return typeof schema.minimum === 'number' ? schema.minimum : 1;
    case 'boolean':
      return true;
    case 'array':
      return [];
    case 'object':
      return depth === 0 || !isObject(schema.properties)
        ? {}
        : Object.fromEntries(
            Object.entries(schema.properties).map(([name, own]) => [name, isObject(own) ? plain(own, depth - 1) : 'a']),
          );
    default:
      return 'a';
  }
}

function typesOf({ type }: JsonObject): string[] {
  const types = Array.isArray(type) ? type : [type];
  const named = types.filter((each): each is string => typeof each === 'string');
  return named.length > 0 ? named : ['string', 'array', 'object'];
}

function allowsText(schema: JsonObject, text: string): boolean {
  if (Array.isArray(schema.enum)) return schema.enum.includes(text);
  if ('const' in schema) return schema.const === text;
  return (
    typesOf(schema).includes('string') && !(typeof schema.maxLength === 'number' && text.length > schema.maxLength)
  );
}
