// Brings the arguments of a tool call into one form, before anything else sees them: the decision, the record and
// the request to the backend are made of the same values.
import { InexactNumber } from './exact-json.ts';
import { atPointer, isObject, isWellFormed, type Json, type JsonObject } from './json.ts';
import { closedSchema, compileSchema, isInt64, withInt64Text } from './json-schema.ts';

/** The arguments in their one form, or what is wrong with them. The text names places, never values. */
export type Normalised = { ok: true; arguments: JsonObject } | { ok: false; problem: string };

/** How the values of one place of the schema are brought into form. */
interface Plan {
  /** The schema takes a whole number here, and no other text. */
  integer: boolean;
  /** Text of a whole number beyond 2^53 may stand here. */
  largeText: boolean;
  properties: Map<string, Property>;
  items: Plan | undefined;
}

interface Property {
  plan: Plan;
  /** Null stands for "not given", as many models write it: the schema has no other use for it. */
  droppable: boolean;
  /** Undefined: none. */
  fallback: Json | undefined;
}

const WHOLE = /^-?(0|[1-9]\d*)$/;
const LARGEST = `a whole number here is at most ${Number.MAX_SAFE_INTEGER}, or as much below zero`;

/**
 * Makes the function for the arguments of one tool. Text of a safe whole number becomes the number where the schema
 * says integer (at the top, in `properties` and in `items`); null for an optional argument is dropped unless the
 * schema allows null; with `fillDefaults` a missing argument gets the default of the schema. A number that is not
 * exact is refused. Larger whole numbers come as text, where the schema says `format: int64` or takes text, and stay
 * text. What comes out matches the schema.
 */
export function createNormaliser(schema: JsonObject, { fillDefaults }: { fillDefaults: boolean }) {
  const validate = compileSchema(withInt64Text(closedSchema(schema), 'check'));
  const plan = createPlan(schema, schema, fillDefaults, new Map());
  const bare = fillDefaults ? createPlan(schema, schema, false, new Map()) : plan;
  return (given: JsonObject): Normalised => {
    const problem = unreadable(given, plan, '');
    if (problem !== undefined) return { ok: false, problem };
    const normal = apply(plan, given) as JsonObject;
    const mismatch = tooLarge(normal, plan, '') ?? validate(normal);
    if (mismatch === undefined) return { ok: true, arguments: normal };
    // Arguments may exclude each other: a default must not stand in the way of what the client has chosen.
    const unfilled = apply(bare, given) as JsonObject;
    return fillDefaults && validate(unfilled) === undefined
      ? { ok: true, arguments: unfilled }
      : { ok: false, problem: mismatch };
  };
}

function createPlan(schema: Json | undefined, root: JsonObject, fill: boolean, known: Map<object, Plan>): Plan {
  const here = resolve(schema, root);
  const before = known.get(here);
  if (before) return before;
  const types = typesOf(here);
  const plan: Plan = {
    integer: types.includes('integer') && !types.includes('string'),
    largeText: types.includes('string') || isInt64(here),
    properties: new Map(),
    items: undefined,
  };
  known.set(here, plan);
  const required = Array.isArray(here.required) ? here.required : [];
  for (const [name, property] of Object.entries(isObject(here.properties) ? here.properties : {})) {
    const schemaOf = property as Json;
    plan.properties.set(name, {
      plan: createPlan(schemaOf, root, fill, known),
      droppable: !required.includes(name) && !allowsNull(schemaOf, root),
      fallback: fill ? defaultOf(schemaOf, root) : undefined,
    });
  }
  if (isObject(here.items)) plan.items = createPlan(here.items as JsonObject, root, fill, known);
  return plan;
}

/** Follows references within the schema; one that leads nowhere, or in a circle, is left to the validator. */
function resolve(schema: Json | undefined, root: JsonObject): JsonObject {
  let here = schema;
  for (let steps = 0; isObject(here) && typeof here.$ref === 'string' && steps < 32; steps++)
    here = here.$ref.startsWith('#') ? (atPointer(root, decodeURIComponent(here.$ref.slice(1))) as Json) : undefined;
  return isObject(here) ? (here as JsonObject) : {};
}

const defaultOf = (schema: Json, root: JsonObject): Json | undefined =>
  isObject(schema) && schema.default !== undefined ? (schema.default as Json) : resolve(schema, root).default;

const typesOf = ({ type }: JsonObject): readonly Json[] =>
  Array.isArray(type) ? type : type === undefined ? [] : [type];

function allowsNull(schema: Json | undefined, root: JsonObject, depth = 0): boolean {
  if (depth > 32) return true;
  const here = resolve(schema, root);
  const { type, enum: values, const: value, anyOf, oneOf, allOf } = here;
  if (type !== undefined) return typesOf(here).includes('null') || here.nullable === true;
  if (Array.isArray(values)) return values.includes(null);
  if (value !== undefined) return value === null;
  const some = (list: Json[]) => list.some((one) => allowsNull(one, root, depth + 1));
  if (Array.isArray(anyOf)) return some(anyOf);
  if (Array.isArray(oneOf)) return some(oneOf);
  if (Array.isArray(allOf)) return allOf.every((one) => allowsNull(one, root, depth + 1));
  return schema !== false;
}

function apply(plan: Plan | undefined, value: Json): Json {
  if (!plan) return value;
  if (typeof value === 'string')
    // Adding 0 makes the number 0 of "-0".
    return plan.integer && WHOLE.test(value) && Number.isSafeInteger(Number(value)) ? Number(value) + 0 : value;
  if (Array.isArray(value)) return plan.items ? value.map((item) => apply(plan.items, item)) : value;
  if (!isObject(value) || plan.properties.size === 0) return value;
  const entries: [string, Json][] = [];
  for (const [name, item] of Object.entries(value)) {
    const property = plan.properties.get(name);
    if (item !== null || !property?.droppable) entries.push([name, apply(property?.plan, item as Json)]);
  }
  for (const [name, { fallback }] of plan.properties)
    if (fallback !== undefined && !entries.some(([given]) => given === name))
      entries.push([name, structuredClone(fallback)]);
  return Object.fromEntries(entries);
}

/** Where something is that does not arrive as it was meant: an inexact number, or half of a surrogate pair. */
function unreadable(value: unknown, plan: Plan | undefined, at: string): string | undefined {
  if (typeof value === 'string')
    return isWellFormed(value) ? undefined : `${at || 'arguments'}: text that is not well-formed Unicode`;
  if (value instanceof InexactNumber) {
    const place = at || 'arguments';
    if (!WHOLE.test(value.text)) return `${place}: a number that does not arrive exactly; send one with fewer digits`;
    return plan?.largeText
      ? `${place}: a whole number beyond ${Number.MAX_SAFE_INTEGER} does not arrive exactly; send it as text, in quotes`
      : `${place}: a number that does not arrive exactly; ${LARGEST}`;
  }
  return within(value, plan, at, unreadable);
}

/** Where text of a large whole number stands for an argument whose schema does not say that it takes any. */
function tooLarge(value: unknown, plan: Plan | undefined, at: string): string | undefined {
  if (typeof value === 'string')
    return plan?.integer && !plan.largeText && WHOLE.test(value) ? `${at || 'arguments'}: ${LARGEST}` : undefined;
  return within(value, plan, at, tooLarge);
}

/** Asks about each item or property. Only names of the schema stand in a place: others are text of the client. */
function within(
  value: unknown,
  plan: Plan | undefined,
  at: string,
  ask: (value: unknown, plan: Plan | undefined, at: string) => string | undefined,
): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, item] of Object.entries(value)) {
    if (!isWellFormed(name)) return `${at || 'arguments'}: a name that is not well-formed Unicode`;
    const property = plan?.properties.get(name);
    const own = Array.isArray(value) ? plan?.items : property?.plan;
    const problem = ask(item, own, property || (Array.isArray(value) && plan) ? `${at}/${name}` : at);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
