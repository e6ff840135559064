// What fills the placeholders of a template.
import type { Json } from '../../formats/json.ts';
import { replacePlaceholders } from '../../formats/template.ts';

/** Undefined: the optional argument was not given. */
export type Values = (name: string) => Json | undefined;

/** Thrown when a value cannot be put where the template wants it. Carries the place, never the value. */
export class UnbuildableError extends Error {
  override readonly name = 'UnbuildableError';
}

export function fill(template: string, values: Values, place: string): string {
  return replacePlaceholders(template, (name) => text(values(name) ?? '', place));
}

export function text(value: Json | undefined, place: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new UnbuildableError(`${place}: only text, numbers and booleans can stand here`);
}
