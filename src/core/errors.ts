// Two kinds of failure leave a command: a problem the operator can fix, and a fault of ours.

/** Something the operator can fix. The message says what, where and how; no stack is shown. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
}

/** Text of anything that was thrown: libraries here throw strings and plain objects too. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  if (typeof thrown === 'string') return thrown;
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) return String(thrown.message);
  return String(thrown);
}
