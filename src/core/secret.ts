// holds a value that must not appear in a log, an error, a template or a crash dump. It prints `[redacted]`
// wherever a value is turned into text. The only way to the value is `reveal()`, which is easy to search for in a
// review.
import { inspect } from 'node:util';

/** What is printed in place of a secret. */
export const REDACTED = '[redacted]';

/** Holds a value of type T and never prints it. */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** Answers the value. Call it only where the value leaves for the one place it is meant for. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
