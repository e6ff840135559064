// Loads a policy and finds out whether it may decide: everything that can be known before a call. It runs in a worker, so
// that neither a compilation nor a rule that never ends holds up a call.
import type { Config } from '../../config/load.ts';
import { OperatorError } from '../../core/errors.ts';
import type { PolicyPlace } from '../../decision/data/paths.ts';
import type { JsonObject } from '../../formats/json.ts';
import { type Loading, loadChecked } from '../../policy/load.ts';
import { selfTest } from '../../policy/run/self-test.ts';
import { worstCase } from '../../policy/run/worst-case.ts';
import { type KeptBundle, openKept } from '../kept.ts';
import { readKept, withoutSettingsFile } from '../read-kept.ts';

/** What to prepare: the policy of a folder, or one that was kept. */
export type Wanted = { place: PolicyPlace } | { kept: string; revision: string };

export interface Prepared {
  bundle: Omit<KeptBundle, 'module'>;
  /** What it may be activated with all the same. */
  warnings: string[];
}

/** Rejects with an OperatorError when it must not decide. */
export async function prepare(config: Config, env: NodeJS.ProcessEnv, wanted: Wanted): Promise<Prepared> {
  const warnings: string[] = [];
  const warn = (message: string, fields: Record<string, string>) =>
    void warnings.push(`${message} (${Object.values(fields).join('; ')})`);
  const found = await load(wanted, { config, opa: { env }, warn });
  if (found.cases === undefined) warnings.push('no cases travel with it, so nothing was tried');
  const most = Math.min(config.policy.budget_ms, config.policy.guard_ms);
  const failed = found.cases === undefined ? [] : selfTest(found.module, found.cases, most);
  if (failed.length > 0) throw new OperatorError(`it does not decide as it shall: ${failed.slice(0, 5).join('; ')}`);
  const worst = worstCaseOf(found, config, most);
  if (worst.slow.length > 0)
    throw new OperatorError(`it is too slow for ordinary calls: ${worst.slow.slice(0, 5).join('; ')}`);
  warnings.push(...worst.warnings);
  const { module: _module, ...bundle } = found;
  return { bundle, warnings };
}

/** Where keys are configured, one that was kept is verified again: whoever can write the state folder must not choose it. */
async function load(wanted: Wanted, loading: Loading): Promise<KeptBundle> {
  if ('place' in wanted) return withoutSettingsFile(await loadChecked(wanted.place, loading));
  return readKept(openKept({ dir: wanted.kept, days: 1, count: 1, now: Date.now }), wanted.revision, loading);
}

/** How long growing arguments are tried at most. */
const LONGEST_TRIAL_MS = 30_000;

function worstCaseOf({ module, settings, manifest }: KeptBundle, { tools, limits }: Config, guardMs: number) {
  return worstCase({
    ...{ module, settings, guardMs },
    tools: Object.entries(tools).map(([name, { backend, effect, arguments: schema }]) => ({
      ...{ name, backend, effect },
      arguments: schema as JsonObject,
    })),
    literals: manifest.literals ?? [],
    largestBytes: limits.body_bytes,
    longestMs: LONGEST_TRIAL_MS,
  });
}
