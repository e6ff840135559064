// What a start takes from activations before it: which policy shall decide, and what may be taken back into use.
import { join } from 'node:path';
import type { Config } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import { OperatorError } from '../core/errors.ts';
import { type Limits, type Policy, policyOf } from '../decision/open.ts';
import { type Activated, type History, openHistory } from './history.ts';
import { type KeptPolicies, openKept } from './kept.ts';

export interface Remembered {
  kept: KeptPolicies;
  keptDir: string;
  history: History;
  /** The policy that decides: that of the folder, or the one that somebody has put in its place. */
  present: Policy;
  /** Revision of the folder. */
  folder: string;
  /** Who has put another policy in the place of that of the folder; undefined where it decides. */
  instead: Activated | undefined;
}

/**
 * A new policy in the folder is a deployment, and decides. Where the folder is as it was when somebody activated another
 * policy, or went back to one, that one goes on: a restart must not bring back what was taken out of use. Throws an
 * OperatorError when that policy cannot be used.
 */
export function remember(config: Config, folder: Policy, limits: Limits, clock: Clock): Remembered {
  const keptDir = join(config.state_dir, 'policies');
  const kept = openKept({ dir: keptDir, ...config.policy.keep, now: () => Date.now() });
  const history = openHistory(join(config.state_dir, 'policies.json'));
  const last = history.entries.at(-1);
  const instead = last && last.what !== 'start' && last.revision !== folder.revision && last.folder === folder.revision;
  const present = instead ? policyOf(kept.read(last.revision), limits) : folder;
  try {
    kept.save(present);
    if (last?.revision !== present.revision) {
      const at = new Date(clock.now()).toISOString();
      const { revision } = present;
      history.add({ at, what: 'start', revision, folder: folder.revision, operator: '', reason: '' });
    }
    kept.prune(new Set([present.revision, ...(last ? [last.revision] : [])]));
  } catch (thrown) {
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    throw new OperatorError(`the policy cannot be kept in ${keptDir}: ${code}`);
  }
  return { kept, keptDir, history, present, folder: folder.revision, instead: instead ? last : undefined };
}
