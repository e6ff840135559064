import { alertAttacks } from './alerts.ts';
import type { AttackGroup } from './attack.ts';
import { contentAttacks } from './content.ts';
import { doorAttacks } from './door.ts';
import { handleAttacks } from './handles.ts';
import { insiderAttacks } from './insider.ts';
import { logAttacks } from './log.ts';
import { networkAttacks } from './network.ts';
import { policyAttacks } from './policy.ts';
import { processAttacks } from './process.ts';
import { renewalAttacks } from './renewal.ts';
import { rotationAttacks } from './rotation.ts';
import { storeAttacks } from './store.ts';
import { tokenAttacks } from './tokens.ts';

export const GROUPS: readonly AttackGroup[] = [
  tokenAttacks,
  handleAttacks,
  rotationAttacks,
  renewalAttacks,
  storeAttacks,
  insiderAttacks,
  logAttacks,
  networkAttacks,
  processAttacks,
  policyAttacks,
  doorAttacks,
  contentAttacks,
  alertAttacks,
];
