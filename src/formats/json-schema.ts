// The only home of ajv: compiles the argument and result schemas of tools.
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { messageOf } from '../core/errors.ts';
import { isObject, type Json, type JsonObject, pointerTokens } from './json.ts';

const create = () => {
  const ajv = new Ajv2020({
    allErrors: false,
    strict: true,
    strictTypes: false,
    strictRequired: false,
    validateFormats: true,
  });
  formats.default(ajv);
  ajv.addKeyword(STRICT_SIDE);
  ajv.addKeyword({
    keyword: LARGE_TEXT,
    type: 'string',
    schemaType: 'object',
    compile: (bounds: JsonObject) => (text: string) => fits(text, bounds),
    error: { message: 'must be the text of a whole number beyond 2^53, within the bounds' },
  });
  return ajv;
};

/** Keyword by which a schema of settings says which side of a value is the strict one; it checks nothing. */
export const STRICT_SIDE = 'x-stricter';

let shared: Ajv2020 | undefined;

/**
 * Answers the shared instance, because creating one costs more than compiling any schema. A schema with "$id"
 * gets its own, because two schemas may have the same "$id".
 */
function ajvFor(schema: JsonObject): Ajv2020 {
  if (JSON.stringify(schema).includes('"$id"')) return create();
  shared ??= create();
  return shared;
}

/** Closes a schema: unless it says otherwise, a property that it does not name is not accepted. */
export function closedSchema(schema: JsonObject): JsonObject {
  return 'additionalProperties' in schema || 'unevaluatedProperties' in schema
    ? schema
    : { ...schema, additionalProperties: false };
}

/** Keyword of ours, in compiled schemas only: text of a whole number beyond 2^53 that keeps these bounds. */
const LARGE_TEXT = 'sallyportLargeText';
const INT64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n };
const BOUNDS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'];

/** Whether a schema takes whole numbers of 64 bits, which JSON numbers cannot carry. */
export function isInt64({ type, format, enum: values, const: value }: JsonObject): boolean {
  // A schema that takes text already says itself which.
  const integer = type === 'integer' || (Array.isArray(type) && type.includes('integer') && !type.includes('string'));
  return integer && format === 'int64' && values === undefined && value === undefined;
}

/**
 * Opens each place for whole numbers of 64 bits to their text, at the top, in `properties`, `items` and definitions.
 * `check`: for the validator, which looks at their bounds; `list`: as clients are shown it.
 */
export function withInt64Text(schema: JsonObject, use: 'check' | 'list'): JsonObject {
  const each = (map: Json): Json =>
    isObject(map) ? Object.fromEntries(Object.entries(map).map(([name, item]) => [name, one(item as Json)])) : map;
  const one = (item: Json): Json => (isObject(item) ? withInt64Text(item as JsonObject, use) : item);
  const opened: JsonObject = { ...schema };
  for (const key of ['properties', '$defs', 'definitions'])
    if (schema[key] !== undefined) opened[key] = each(schema[key]);
  if (schema.items !== undefined) opened.items = one(schema.items);
  if (!isInt64(schema)) return opened;
  const { type } = schema;
  opened.type = [...new Set([...(Array.isArray(type) ? type : ['integer']), 'string'])];
  opened.pattern = '^-?(0|[1-9][0-9]*)$';
  if (use === 'check') {
    delete opened.format;
    opened[LARGE_TEXT] = Object.fromEntries(
      BOUNDS.flatMap((key) => (schema[key] === undefined ? [] : [[key, schema[key]]])),
    );
  }
  return opened;
}

function fits(text: string, bounds: JsonObject): boolean {
  // A longer text is no number of 64 bits, and BigInt would take its time for one of a megabyte.
  if (text.length > 20 || !/^-?\d+$/.test(text) || Number.isSafeInteger(Number(text))) return false;
  const value = BigInt(text);
  if (value < INT64.least || value > INT64.most) return false;
  const bound = (key: string, holds: (limit: bigint) => boolean) => {
    const limit = bounds[key];
    if (typeof limit !== 'number' || (key === 'multipleOf' && !Number.isInteger(limit))) return true;
    // A bound beyond 64 bits, as 2^63 - 1 reads in JSON, bounds nothing more. One with a fraction is a whole number
    // on its own side for any value this large.
    return Math.abs(limit) >= 2 ** 63
      ? limit > 0 === (key === 'maximum' || key === 'exclusiveMaximum')
      : holds(BigInt(Math.trunc(limit)));
  };
  return (
    bound('minimum', (limit) => value >= limit) &&
    bound('maximum', (limit) => value <= limit) &&
    bound('exclusiveMinimum', (limit) => value > limit) &&
    bound('exclusiveMaximum', (limit) => value < limit) &&
    bound('multipleOf', (limit) => limit !== 0n && value % limit === 0n)
  );
}

/** Answers what is wrong with a JSON Schema (2020-12), or undefined when it can be used. */
export function schemaProblem(schema: JsonObject): string | undefined {
  try {
    ajvFor(schema).compile(schema);
    return undefined;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

/** Answers what does not match, or undefined when the value matches. The text never repeats a value. */
export type Validate = (value: unknown) => string | undefined;

/** Compiles a schema. Throws for one in which `schemaProblem` finds something wrong. */
export function compileSchema(schema: JsonObject): Validate {
  const validate = ajvFor(schema).compile(schema);
  return (value) => (validate(value) ? undefined : describe(validate.errors?.[0]));
}

function describe(error: ErrorObject | undefined): string {
  if (!error) return 'does not match';
  const where = error.instancePath || 'arguments';
  // Only names from the schema may appear in the text: the name of an unknown property is text that the client
  // has chosen.
  const detail =
    error.keyword === 'additionalProperties'
      ? 'has a property that is not defined'
      : (error.message ?? 'does not match');
  return `${where}: ${detail}`;
}

/** Everything in which a value does not match a schema, with the path of each. For values that are no secret. */
export function violations(schema: JsonObject, value: unknown): { path: string[]; message: string }[] {
  const ajv = create();
  ajv.opts.allErrors = true;
  const validate = ajv.compile(schema);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, keyword, params, message = 'does not match' }) => {
    const path = pointerTokens(instancePath);
    if (keyword === 'additionalProperties')
      return {
        path: [...path, String(params.additionalProperty)],
        message: `unknown key "${params.additionalProperty}"`,
      };
    if (keyword === 'required') return { path: [...path, String(params.missingProperty)], message: 'is missing' };
    return { path, message };
  });
}
