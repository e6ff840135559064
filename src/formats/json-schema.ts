// The only home of ajv: compiles the argument and result schemas of tools.
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
