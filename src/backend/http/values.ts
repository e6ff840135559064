// Fills the placeholders of a template with values.
import { plainNumber } from '../../formats/exact-json.ts';
import type { Json } from '../../formats/json.ts';
import { replacePlaceholders } from '../../formats/template.ts';

/** Looks up the value for a placeholder by its name. Undefined when an optional argument was not given. */
export type Values = (name: string) => Json | undefined;

/** Thrown when a value cannot stand where the template puts it. The message names the place, never the value. */
export class UnbuildableError extends Error {
  override readonly name = 'UnbuildableError';
}

/** The template with its placeholders replaced; a missing value becomes "". Nothing is encoded here. */
export function fill(template: string, values: Values, place: string): string {
  return replacePlaceholders(template, (name) => text(values(name) ?? '', place));
}

/** A string, number or boolean as text. Throws an UnbuildableError that names `place` for anything else. */
export function text(value: Json | undefined, place: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return plainNumber(value);
  if (typeof value === 'boolean') return String(value);
  throw new UnbuildableError(`${place}: only text, numbers and booleans can stand here`);
}
