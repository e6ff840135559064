// Loads the policy of a folder or bundle, for a start and for an activation alike: verified where keys are configured, its
// names checked against the configuration, and what a start asks besides.
import type { Config } from '../config/load.ts';
import { type Bundle, loadBundle } from '../decision/bundle.ts';
import type { PolicyPlace } from '../decision/data/paths.ts';
import type { FindOpaOptions } from './opa.ts';
import { recompileWith } from './recompile.ts';
import { settingsCheck } from './settings-names.ts';
import { isOpaBuilt, loadOpaBuilt } from './signed/opa-built.ts';
import { type Verified, withFiles, withVerified } from './signed/open.ts';
import type { VerifyKey } from './signed/verify.ts';
import { startCheck, type Warn } from './start.ts';

export interface Loading {
  config: Config;
  opa: FindOpaOptions;
  /** Told of what it is used with all the same. */
  warn: Warn;
}

/** The keys that may have signed a policy. */
export const keysOf = ({ policy }: Config): VerifyKey[] =>
  Object.entries(policy.keys).map(([name, { file }]) => ({ name, file }));

/** Rejects with an OperatorError for a policy that must not decide. */
export const loadChecked = (place: PolicyPlace, loading: Loading): Promise<Bundle> =>
  withVerified(place, keysOf(loading.config), (verified) => check(verified, loading));

/** The same with the files of one that was kept. `name`: as messages have it. */
export const loadKept = (name: string, files: ReadonlyMap<string, Buffer>, loading: Loading): Promise<Bundle> =>
  withFiles(name, files, keysOf(loading.config), (verified) => check(verified, loading));

async function check(
  { place, signed, files, told }: Verified,
  { config, opa, warn: warned }: Loading,
): Promise<Bundle> {
  const warn: Warn = (message, fields) =>
    warned(message, Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, told(text)])));
  const of: Config = { ...config, policy: { ...config.policy, site_dir: undefined, ...place } };
  const bundle =
    files && isOpaBuilt(place.dir) ? await loadOpaBuilt(place.dir, opa) : await loadBundle(place, recompileWith(opa));
  settingsCheck(of, (tool) =>
    warn('no role lists this tool, so every call of it is denied; see access.roles in data.yaml', { tool }),
  )(bundle.settingsFile);
  const found = signed && files ? { ...bundle, unverified: undefined, signed: { ...signed, files } } : bundle;
  await startCheck(of, opa, warn)(found);
  return found;
}
