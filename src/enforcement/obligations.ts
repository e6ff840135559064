// Carries out the obligations of a decision. One that fails, or that contradicts the outcome, makes the connector
// refuse the call.
import type { Obligation, PolicyDecision, Reason } from '../decision/schema.ts';

/** The effects that obligations can have. Each rejects when it did not happen. */
export interface Effects {
  /** Writes an alert and resolves when it is durable. */
  alert(severity: 'low' | 'medium' | 'high', reason: Reason | undefined): Promise<void>;
  /** Ends the session of the client with the backend of this call. */
  revokeSession(): Promise<void>;
}

/** Fields of the result to blank. */
export type Mask = Omit<Extract<Obligation, { type: 'mask' }>, 'type'>;
/** A list of the result of which only the first items are given. */
export type ResultLimit = Omit<Extract<Obligation, { type: 'limit_result' }>, 'type'>;

/**
 * What remains to be done later: masks and limits of the result, scopes to name when the call is denied, and the
 * most sessions the client id may have.
 */
export interface CarriedOut {
  masks: Mask[];
  limits: ResultLimit[];
  requiredScopes: string[];
  sessionLimit: number | undefined;
}

/** What remains, or which obligations failed. */
export type Carried = ({ ok: true } & CarriedOut) | { ok: false; detail: string };

/**
 * Carries out all obligations that fit the outcome, also after one has failed: an alert that cannot be written
 * must not spare a session that has to be revoked.
 */
export async function carryOut(decision: PolicyDecision, effects: Effects): Promise<Carried> {
  const masks: Mask[] = [];
  const limits: ResultLimit[] = [];
  const requiredScopes: string[] = [];
  let sessionLimit: number | undefined;
  const failed: string[] = [];
  for (const obligation of decision.obligations) {
    const { type } = obligation;
    if (decision.outcome !== 'deny' && (type === 'revoke_session' || type === 'require_scope')) {
      failed.push(`${type} together with ${decision.outcome}`);
      continue;
    }
    try {
      switch (obligation.type) {
        case 'alert':
          await effects.alert(obligation.severity, obligation.reason);
          break;
        case 'revoke_session':
          await effects.revokeSession();
          break;
        case 'require_scope':
          requiredScopes.push(obligation.scope);
          break;
        case 'limit_sessions':
          sessionLimit = Math.min(sessionLimit ?? obligation.limit, obligation.limit);
          break;
        case 'mask':
          masks.push(obligation);
          break;
        case 'limit_result':
          limits.push(obligation);
          break;
        default:
          // An obligation that nobody carries out must not let the call through. One that is new in the schema
          // does not compile here.
          obligation satisfies never;
          failed.push(`${type} is not known`);
      }
    } catch {
      failed.push(`${type} could not be carried out`);
    }
  }
  return failed.length > 0
    ? { ok: false, detail: failed.join('; ') }
    : { ok: true, masks, limits, requiredScopes, sessionLimit };
}
