// The only home of ajv: argument schemas of tools, compiled once.
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { messageOf } from '../core/errors.ts';
import type { JsonObject } from './json.ts';

const create = () => {
  const ajv = new Ajv2020({
    allErrors: false,
    strict: true,
    strictTypes: false,
    strictRequired: false,
    validateFormats: true,
  });
  formats.default(ajv);
  return ajv;
};

let shared: Ajv2020 | undefined;

/** One for all, since making one costs more than any schema; but two schemas may have the same "$id". */
function ajvFor(schema: JsonObject): Ajv2020 {
  if (JSON.stringify(schema).includes('"$id"')) return create();
  shared ??= create();
  return shared;
}

/** A schema whose properties are a closed list unless it says otherwise: what is not named is refused. */
export function closedSchema(schema: JsonObject): JsonObject {
  return 'additionalProperties' in schema || 'unevaluatedProperties' in schema
    ? schema
    : { ...schema, additionalProperties: false };
}

/** What is wrong with a JSON Schema, or undefined. */
export function schemaProblem(schema: JsonObject): string | undefined {
  try {
    ajvFor(schema).compile(schema);
    return undefined;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

/** Answers what does not match, without repeating any value, or undefined. */
export type Validate = (value: unknown) => string | undefined;

export function compileSchema(schema: JsonObject): Validate {
  const validate = ajvFor(schema).compile(schema);
  return (value) => (validate(value) ? undefined : describe(validate.errors?.[0]));
}

function describe(error: ErrorObject | undefined): string {
  if (!error) return 'does not match';
  const where = error.instancePath || 'arguments';
  // Only names that the schema itself holds: an unknown property name is the caller's text.
  const detail =
    error.keyword === 'additionalProperties'
      ? 'has a property that is not defined'
      : (error.message ?? 'does not match');
  return `${where}: ${detail}`;
}
