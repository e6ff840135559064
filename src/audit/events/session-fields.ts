// What the log says about sessions: whose session it was, and which decision it happened for.
import type { Cause, LoginClient, SessionEvent } from '../../session/events.ts';
import type { SessionRecord } from '../../session/record.ts';
import type { EventRecord } from '../records.ts';
import type { About } from './raise.ts';

type Fields = Omit<EventRecord, 'type' | 'event' | 'timestamp'>;

/**
 * What the record of a session event says, besides whose session it is and which decision it happened for. A session that may
 * still work at the backend is marked `residual`.
 */
export function sessionFields(event: SessionEvent): Fields {
  switch (event.type) {
    case 'login_failed':
      return { backend: event.backend, ...clientOf(event.client), ...causeFields(event.cause), detail: event.detail };
    case 'login_abandoned': {
      const { key, client, cause } = event;
      return { backend: key.backend, owner: key.owner, ...clientOf(client), ...causeFields(cause), residual: true };
    }
    case 'session_unopenable':
      return { ...recordFields(event.record), cause: 'its key is gone, or somebody has changed it', residual: true };
    case 'session_lost': {
      const { backend, owner, session, login: generation } = event.entry;
      return { backend, owner, session, generation, ...causeFields(event.cause), proof: 'residual', residual: true };
    }
    case 'session_damaged':
      return { backend: event.key.backend, owner: event.key.owner, cause: 'its row makes no sense', residual: true };
    case 'session_rolled_back':
      return { ...recordFields(event.record), cause: `the store had ${event.newer.tokenFingerprint}`, residual: true };
    case 'renewal_lost':
      return { ...recordFields(event.record), cause: 'an answer that may have renewed it never came', residual: true };
    case 'logout_pending':
      return { ...recordFields(event.record), ...causeFields(event.cause), residual: true };
    case 'session_opened':
    case 'session_rotated':
    case 'session_renewed':
    case 'session_revoked':
      return { ...recordFields(event.record), ...causeFields(event.cause) };
    case 'session_ended': {
      const { record, cause, proof, drained, count } = event;
      const told = { ...causeFields(cause), proof, residual: proof !== 'dead', drained };
      return { ...recordFields(record), ...told, ...(count && { count }) };
    }
  }
}

/** The decision is null where it happened for none: a time was over, or an operator wanted it. */
const causeFields = (cause: Cause): Fields =>
  typeof cause === 'string' ? { cause, decision_id: null } : { cause: cause.text, decision_id: cause.decision };

const clientOf = (client: LoginClient | undefined): Fields => (client ? { client: { ...client } } : {});

/** Names in the log that differ from those in the code. */
const NAMES: Partial<Record<SessionEvent['type'], string>> = {
  login_failed: 'backend_login_fail',
  session_lost: 'session_ended',
};

/** Fingerprints only. */
const recordFields = (record: SessionRecord) => {
  const { backend, fingerprint, generation, tokenFingerprint, bound, issuer } = record;
  const client = { id: bound.client_id, subject: bound.subject, issuer };
  return { backend, session: fingerprint, generation, token: tokenFingerprint, client };
};

/** What an alert about a session says of it. */
export const aboutOf = ({ backend, fingerprint, bound, issuer }: SessionRecord): About => ({
  ...{ backend, session: fingerprint },
  client: { id: bound.client_id, subject: bound.subject, issuer },
});

/** Of which session nobody can say that it has ended, although it was to end here. */
export function residualOf(event: SessionEvent): About | undefined {
  if (event.type === 'session_ended' && event.proof === 'residual')
    return { ...aboutOf(event.record), decisionId: decisionOf(event.cause) };
  if (event.type === 'session_lost') return { backend: event.entry.backend, session: event.entry.session };
  if (event.type === 'login_abandoned')
    return {
      backend: event.key.backend,
      client: event.client && { ...event.client },
      decisionId: decisionOf(event.cause),
    };
  return undefined;
}

const decisionOf = (cause: Cause): string | null => (typeof cause === 'string' ? null : cause.decision);

/** The name of a session event in the log. */
export const sessionEventName = ({ type }: SessionEvent): string => NAMES[type] ?? type;
