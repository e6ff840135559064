// Fills the placeholders of a template with values.
import { plainNumber } from '../../formats/exact-json.ts';
import type { Json } from '../../formats/json.ts';
import { placeholders, replacePlaceholders } from '../../formats/template.ts';

/** Looks up the value for a placeholder by its name. Undefined when an optional argument was not given. */
export type Values = (name: string) => Json | undefined;

/** Thrown when a value cannot stand where the template puts it. The message names the place, never the value. */
export class UnbuildableError extends Error {
  override readonly name = 'UnbuildableError';
}

/** Whether the template needs a value that is not there: an optional argument that was not given, or is null. */
export const lacks = (template: string, values: Values): boolean =>
  placeholders(template).some((name) => (values(name) ?? null) === null);

/**
 * The template with its placeholders replaced, or undefined when it lacks a value: then its entry is left out, since a
 * filter without its value is another filter. Nothing is encoded here.
 */
export function fill(template: string, values: Values, place: string): string | undefined {
  if (lacks(template, values)) return undefined;
  return replacePlaceholders(template, (name) => text(values(name), place));
}

/** A string, number or boolean as text. Throws an UnbuildableError that names `place` for anything else. */
export function text(value: Json | undefined, place: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return plainNumber(value);
  if (typeof value === 'boolean') return String(value);
  throw new UnbuildableError(`${place}: only text, numbers and booleans can stand here`);
}
