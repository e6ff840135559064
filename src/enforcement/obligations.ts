// Carries out what a decision orders besides its outcome. One that fails, or makes no sense with the
// outcome, refuses the call.
import type { PolicyDecision } from '../decision/schema.ts';

export interface Effects {
  alert(severity: 'low' | 'medium' | 'high'): Promise<void>;
  revokeSession(): Promise<void>;
}

/** What is left to do once a result is there, or to say once there is none. */
export type Carried = { ok: true; masks: string[]; requiredScopes: string[] } | { ok: false; detail: string };

export async function carryOut(decision: PolicyDecision, effects: Effects): Promise<Carried> {
  const masks: string[] = [];
  const requiredScopes: string[] = [];
  for (const obligation of decision.obligations) {
    const { type } = obligation;
    if (decision.outcome !== 'deny' && (type === 'revoke_session' || type === 'require_scope')) {
      return { ok: false, detail: `${type} together with ${decision.outcome}` };
    }
    try {
      switch (type) {
        case 'alert':
          await effects.alert(obligation.severity);
          break;
        case 'revoke_session':
          await effects.revokeSession();
          break;
        case 'require_scope':
          requiredScopes.push(obligation.scope);
          break;
        case 'mask':
          masks.push(...obligation.pointers);
          break;
      }
    } catch {
      return { ok: false, detail: `${type} could not be carried out` };
    }
  }
  return { ok: true, masks, requiredScopes };
}
