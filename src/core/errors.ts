// A command can fail in two ways: with a problem that the operator can fix, or with a defect of Sallyport.

/**
 * A problem that the operator can fix. The message says what is wrong, where, and how to fix it; no stack is
 * shown.
 */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
}

/** The message of anything that was thrown. Some libraries throw strings and plain objects. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  if (typeof thrown === 'string') return thrown;
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) return String(thrown.message);
  return String(thrown);
}
