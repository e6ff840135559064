// Reads a policy that is kept. Where keys are configured it is verified again, with the files that were kept of it.
import { OperatorError } from '../core/errors.ts';
import type { Bundle } from '../decision/bundle.ts';
import { keysOf, type Loading, loadKept } from '../policy/load.ts';
import type { KeptBundle, KeptPolicies } from './kept.ts';

/** Rejects with an OperatorError for one that must not decide. */
export async function readKept(kept: KeptPolicies, revision: string, loading: Loading): Promise<KeptBundle> {
  const plain = kept.read(revision);
  if (keysOf(loading.config).length === 0) return plain;
  const files = kept.signedFiles(revision);
  if (!files) throw new OperatorError(`policy ${revision} was kept unsigned, and policy.keys is set`);
  const bundle = withoutSettingsFile(await loadKept(`policy ${revision}`, files, loading));
  if (bundle.revision !== revision)
    throw new OperatorError(`policy ${revision} is kept with the files of another one (${bundle.revision})`);
  return bundle;
}

export function withoutSettingsFile({ settingsFile: _file, ...bundle }: Bundle): KeptBundle {
  return bundle;
}
