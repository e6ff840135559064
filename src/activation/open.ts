// What a start takes from activations before it: which policy shall decide, and what may be taken back into use.
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { messageOf, OperatorError } from '../core/errors.ts';
import { type Limits, type Policy, policyOf } from '../decision/open.ts';
import { type Loading, loadChecked } from '../policy/load.ts';
import { type Activated, type History, olderThanActivated, openHistory } from './history.ts';
import { type KeptBundle, type KeptPolicies, openKept } from './kept.ts';
import { readKept, withoutSettingsFile } from './read-kept.ts';

export interface Remembered {
  kept: KeptPolicies;
  keptDir: string;
  history: History;
  /** The policy that decides: that of the folder, or the one that somebody has put in its place. */
  present: Policy;
  /** Revision of the folder. */
  folder: string;
  /** Why the policy of the folder does not decide, where it is an older one than was activated. */
  older: string | undefined;
  /** Who has put another policy in the place of that of the folder; undefined where it decides. */
  instead: Activated | undefined;
}

/**
 * A new policy in the folder is a deployment, and decides. Where the folder is as it was when somebody activated another
 * policy, or went back to one, that one goes on: a restart must not bring back what was taken out of use, and no older signed
 * policy takes the place of a newer one. Rejects with an OperatorError when the policy that shall decide cannot be used.
 */
export async function remember(loading: Loading, limits: Limits, clock: Clock): Promise<Remembered> {
  const { config, warn } = loading;
  const keptDir = join(config.state_dir, 'policies');
  const kept = openKept({ dir: keptDir, ...config.policy.keep, now: () => Date.now() });
  const history = openHistory(join(config.state_dir, 'policies.json'));
  const folder = withoutSettingsFile(await loadChecked(config.policy, loading));
  const last = history.entries.at(-1);
  const { revision, signed } = folder;
  const older = signed && olderThanActivated(history.entries, { revision, issued: signed.issued });
  if (older !== undefined) warn('the policy folder is not used', { why: older });
  const instead =
    last !== undefined &&
    last.revision !== revision &&
    (older !== undefined || (last.what !== 'start' && last.folder === revision));
  const present = policyOf(instead ? await pinned(kept, last.revision, history, loading) : folder, limits);
  try {
    kept.save(present);
    if (last?.revision !== present.revision) {
      const at = new Date(clock.now()).toISOString();
      const { issued } = present.signed ?? {};
      const entry = { at, what: 'start' as const, revision: present.revision, folder: revision };
      history.add({ ...entry, operator: '', reason: '', ...(issued !== undefined && { issued }) });
    }
    kept.prune(new Set([present.revision, ...(last ? [last.revision] : [])]));
  } catch (thrown) {
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    throw new OperatorError(`the policy cannot be kept in ${keptDir}: ${code}`);
  }
  return { kept, keptDir, history, present, folder: revision, older, instead: instead ? last : undefined };
}

async function pinned(kept: KeptPolicies, revision: string, history: History, loading: Loading): Promise<KeptBundle> {
  try {
    return await readKept(kept, revision, loading);
  } catch (thrown) {
    const mend = `remove ${history.file} to go on with the policy folder`;
    throw new OperatorError(
      `the policy that was put in the place of the folder cannot be used; ${mend}: ${messageOf(thrown)}`,
    );
  }
}
