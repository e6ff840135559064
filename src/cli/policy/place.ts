// The options by which every policy command finds the policy.
import { resolve } from 'node:path';
import type { PolicyPlace } from '../../decision/data/paths.ts';
import type { Home } from '../../policy/versions/version.ts';

export interface PolicyOptions {
  dir: string;
  /** Folder of the site's rules where they are not in `<dir>/site`. */
  site?: string;
}

export const placeOf = ({ dir, site }: PolicyOptions): PolicyPlace => ({
  dir: resolve(dir),
  ...(site !== undefined && { site_dir: resolve(site) }),
});

/** The same with the folder of tests. */
export const homeOf = ({ tests, ...options }: PolicyOptions & { tests?: string }): Home => ({
  ...placeOf(options),
  ...(tests !== undefined && { tests: resolve(tests) }),
});
