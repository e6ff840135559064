// What became of a request to the backend, told to the client and the log in the same words.

/**
 * `not_sent`: the backend has not seen it. `rejected`: the backend has answered that it did nothing. `sent_unknown`: it may
 * have been done. The last two: it was done, and the answer could not be read, or must not leave. Whoever repeats a call of
 * the last three does it twice.
 */
export const REQUEST_OUTCOMES = [
  'not_sent',
  'rejected',
  'sent_unknown',
  'done_answer_unreadable',
  'done_answer_withheld',
] as const;

export type RequestOutcome = (typeof REQUEST_OUTCOMES)[number];
