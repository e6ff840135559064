// Carries out what a decision orders besides its outcome. One that fails, or makes no sense with the
// outcome, refuses the call.
import type { PolicyDecision } from '../decision/schema.ts';

export interface Effects {
  alert(severity: 'low' | 'medium' | 'high'): Promise<void>;
  revokeSession(): Promise<void>;
}

/** What is left to do once a result is there, or to say once there is none. */
export type Carried =
  | { ok: true; masks: string[]; requiredScopes: string[]; sessionLimit: number | undefined }
  | { ok: false; detail: string };

/** Every obligation is attempted: an alert that fails must not spare a session that is to be revoked. */
export async function carryOut(decision: PolicyDecision, effects: Effects): Promise<Carried> {
  const masks: string[] = [];
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
          await effects.alert(obligation.severity);
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
          masks.push(...obligation.pointers);
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
    : { ok: true, masks, requiredScopes, sessionLimit };
}
