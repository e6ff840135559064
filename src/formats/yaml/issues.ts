// What a schema says of a value, in words for whoever wrote the file; and the types that it wants where a value came from an
// environment variable, which knows only text.
import type { z } from 'zod';

/** One problem, with where it is. */
export interface Issue {
  path: PropertyKey[];
  message: string;
}

/** Reports each unknown key on its own line and, for a choice, only the branch that came closest. */
export function flatten(issues: readonly z.core.$ZodIssue[], raw: unknown, parent: PropertyKey[] = []): Issue[] {
  return issues.flatMap((issue): Issue[] => {
    const path = [...parent, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...path, key], message: `unknown key "${key}"` }));
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map((inner) => ({ path, message: `this name is not allowed: ${inner.message}` }));
    }
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const branches = issue.errors.map((errors) => flatten(errors, raw, path));
      const closest = branches.filter(
        (b) => !b.some((i) => i.path.length === path.length && i.message.startsWith('Invalid input: expected')),
      );
      return closest[0] ?? branches.sort((a, b) => a.length - b.length)[0] ?? [];
    }
    // For a missing key, the message of zod speaks of its type or its choices, so it is reworded.
    if (valueAt(raw, path) !== undefined || !/^Invalid (input|option): expected /.test(issue.message))
      return [{ path, message: issue.message }];
    const expected = issue.message.replace(/^Invalid \w+: expected (.*?)(, received undefined)?$/, '$1');
    return [{ path, message: `is missing (${expected})` }];
  });
}

/** A value that a schema does not take as text, and what it would take. */
export interface Wanted {
  path: PropertyKey[];
  /** The value in the type that the schema wants; undefined where the text is none of it. */
  value: number | boolean | undefined;
  type: string;
}

/** Where the schema wants a number or a boolean and there is a text. */
export function wantedTypes(issues: readonly z.core.$ZodIssue[], raw: unknown, parent: PropertyKey[] = []): Wanted[] {
  return issues.flatMap((issue): Wanted[] => {
    const path = [...parent, ...issue.path];
    if (issue.code === 'invalid_union') return issue.errors.flatMap((errors) => wantedTypes(errors, raw, path));
    const text = valueAt(raw, path);
    if (typeof text !== 'string') return [];
    if (issue.code === 'invalid_value') {
      const value = issue.values.find((one) => String(one) === text);
      return typeof value === 'number' || typeof value === 'boolean' ? [{ path, value, type: typeof value }] : [];
    }
    if (issue.code !== 'invalid_type') return [];
    if (issue.expected === 'boolean')
      return [{ path, type: 'boolean (true or false)', value: { true: true, false: false }[text] }];
    if (issue.expected !== 'number' && issue.expected !== 'int') return [];
    return [{ path, type: 'number', value: /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined }];
  });
}

/** The value at the end of a path; undefined where there is none. */
export const valueAt = (value: unknown, [key, ...rest]: PropertyKey[]): unknown => {
  if (key === undefined) return value;
  const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  return inside ? valueAt((value as Record<PropertyKey, unknown>)[key], rest) : undefined;
};
