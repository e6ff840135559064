// Reason codes of the connector, for calls that it refuses without a decision of the policy behind it. Reason
// codes of the policy are described in its METADATA; the two sets do not overlap.

/** Every code with its explanation for an auditor. */
export const REFUSALS = {
  'decision.undefined': 'The policy gave no result.',
  'decision.error': 'The policy could not be evaluated.',
  'decision.malformed': 'The policy result does not have the shape of the contract.',
  'decision.unknown_obligation': 'The decision orders something this connector does not know.',
  'decision.over_budget': 'The policy took longer than its budget.',
  'obligation.failed': 'What the decision ordered could not be done.',
  'facts.unavailable': 'What is known about the client could not be read.',
  'audit.unavailable': 'The decision could not be recorded.',
  'call.unknown_tool': 'No tool has this name.',
  'call.invalid_arguments': 'The arguments do not match the schema of the tool.',
  'call.cancelled': 'The client cancelled the call.',
  'call.cut_short': 'The connector stopped before the call had ended; it may have been done.',
  'session.login_failed': 'The backend did not accept the login.',
  'session.unavailable': 'The backend session could not be read or stored.',
  'session.revoked': 'The backend session was revoked while the call was on its way.',
  'session.changed': 'The session changed while the call was on its way.',
  'session.limit': 'The client has as many sessions as it may have.',
  'session.expired': 'The backend ended the session; a write is not repeated.',
  'backend.no_account': 'The client has no account at this backend.',
  'backend.request_unbuildable': 'The arguments cannot be put into the request safely.',
  'backend.rejected': 'The backend refused the request.',
  'backend.unavailable': 'The backend did not answer.',
  'backend.deadline': 'The backend did not answer in time.',
  'backend.overloaded': 'Too many calls are waiting for this backend.',
  'backend.response_too_large': 'The answer of the backend is larger than the limit.',
  'backend.response_unusable': 'The answer of the backend does not have the configured form.',
  'backend.redirected': 'The backend redirected the request; redirects are not followed.',
  'internal.error': 'The connector failed.',
} as const;

/** A reason code of the connector. Clients and dashboards may rely on it. */
export type RefusalCode = keyof typeof REFUSALS;

/**
 * What became of a request to the backend, told to the client and the log in the same words.
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
