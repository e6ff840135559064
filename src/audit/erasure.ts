// What is erased from the records of a call stands nowhere else in them. An argument comes back in the parameters of a
// reason, in the message of a check or as the name of a tool that there is not; there its pseudonym stands for it.
import type { Pseudonyms } from './pseudonyms.ts';

/** A longer text is looked for within others as well; a shorter one would be found in any sentence. */
const SHORTEST_PART = 3;

/** What the records of one call may not say. */
export interface Erasure {
  /** The text, or its pseudonym where it equals or contains what is erased. */
  text(text: string): string;
  /** The same for a value; anything but text and numbers cannot tell a text. */
  value<T>(value: T): T | string;
  /** The pseudonym of a value, whatever it is. */
  pseudonym(value: unknown): string;
}

/**
 * `hidden`: values that are erased, of any shape; asked for only when there is something to compare. `looks`: whether a text
 * may not stand by its form, whatever it came from.
 */
export function createErasure(
  hidden: () => readonly unknown[],
  pseudonyms: Pseudonyms,
  looks: (text: string) => boolean = () => false,
): Erasure {
  let known: { all: Set<string>; parts: string[] } | undefined;

  function texts(): { all: Set<string>; parts: string[] } {
    if (known) return known;
    const all = new Set<string>();
    for (const value of hidden()) collect(value, all);
    known = { all, parts: [...all].filter((text) => text.length >= SHORTEST_PART) };
    return known;
  }
  function hides(text: string): boolean {
    if (text === '') return false;
    const { all, parts } = texts();
    return looks(text) || all.has(text) || parts.some((part) => part.length < text.length && text.includes(part));
  }
  const pseudonym = (value: unknown): string =>
    pseudonyms.of(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
  return {
    text: (text) => (hides(text) ? pseudonym(text) : text),
    value(value) {
      const text = typeof value === 'number' ? String(value) : value;
      return typeof text === 'string' && hides(text) ? pseudonym(text) : value;
    },
    pseudonym,
  };
}

/** The texts and numbers in a value, names of fields among them. */
function collect(value: unknown, into: Set<string>): void {
  if (typeof value === 'string') {
    if (value !== '') into.add(value);
  } else if (typeof value === 'number') into.add(String(value));
  else if (Array.isArray(value)) for (const item of value) collect(item, into);
  else if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value)) {
      into.add(name);
      collect(item, into);
    }
}
