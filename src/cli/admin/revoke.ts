// `sallyport revoke`: ends sessions on every replica, through the admin listener of any of them.
import type { Command } from 'commander';
import type { Frozen } from '../../admin/api-schema.ts';
import { print, printJson, progress } from '../output.ts';
import { type AdminClientOptions, askAdmin, refusedBy, splitOptions } from './client.ts';
import { tellHonours, timeOf } from './freeze.ts';

/** Options of the command: exactly one selector, why, the admin listener, and where the admin token is. */
export interface RevokeOptions extends AdminClientOptions {
  reason: string;
  session?: string;
  client?: string;
  subject?: string;
  /** With `client` or `subject`: only that of this issuer. */
  issuer?: string;
  backend?: string;
  all?: boolean;
  /** Freezes the same until then, so that nobody logs in again. */
  denyUntil?: string;
}

/**
 * Sends the revocation and prints how many sessions were ended. Rejects with an OperatorError when the admin
 * listener does not answer or does not accept it.
 */
export async function revoke(options: RevokeOptions, command: Command): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const { reason, issuer, denyUntil, ...selectors } = others;
  const given = Object.entries(selectors).filter(([, value]) => value !== undefined);
  if (given.length !== 1)
    command.error('error: give exactly one of --session, --client, --subject, --backend and --all');
  if (issuer !== undefined && selectors.client === undefined && selectors.subject === undefined)
    command.error('error: --issuer goes with --client or --subject');
  if (denyUntil !== undefined && selectors.session !== undefined)
    command.error('error: --deny-until goes with --client, --subject, --backend or --all');
  const asked = await askAdmin<{ revoked: number } & Partial<Frozen>>(at, '/revocations', {
    ...Object.fromEntries(given),
    ...(issuer !== undefined && { issuer }),
    ...(denyUntil !== undefined && { deny_until: timeOf(denyUntil) }),
    reason,
  });
  if (!asked.ok) throw refusedBy(asked);
  const { answer } = asked;
  // A name that nobody has is no error: whoever has it may have no session at present, and is shut out of older ones.
  if (answer.revoked === 0 && selectors.all === undefined)
    progress(
      `no session was found for it; the revocation holds. Look at the spelling: ${answer.hint ?? '"sallyport sessions" lists what there is'}`,
    );
  if (answer.policy && answer.hint === undefined) tellHonours({ policy: answer.policy });
  if (json) return printJson(answer);
  if (answer.frozen !== undefined) print(`${answer.frozen} is frozen until ${answer.until}`);
  print(`${answer.revoked} ${answer.revoked === 1 ? 'session' : 'sessions'} ended`);
}
