// JSON that is text already. What is evaluated, recorded and answered is the same text then, and is made once.

/** A JSON value of which only the text is at hand. JSON.stringify gives it back as its value. */
export class JsonText {
  readonly text: string;
  /** `text`: what JSON.stringify gives for the value. */
  constructor(text: string) {
    this.text = text;
  }
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}

const texts = new WeakMap<object, string>();

/** Freezes a value of plain objects and arrays, with everything in it, and remembers its text for as long as it lives. */
export function constant<T extends object>(value: T): T {
  deepFreeze(value);
  texts.set(value, JSON.stringify(value));
  return value;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  Object.freeze(value);
  for (const member of Object.values(value)) deepFreeze(member);
}

/** The text of a value that may be text already; undefined for what JSON does not write. */
export function jsonTextOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return value instanceof JsonText ? value.text : (texts.get(value) ?? JSON.stringify(value));
}
