// Where the parts of a policy are. The shipped rules come with the version; a folder that holds only what is the site's
// (data.yaml, site/) is decided by the shipped rules of the package.
import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { PACKAGE_ROOT } from '../../core/paths.ts';

/** Absolute paths. */
export interface PolicyPaths {
  /** The policy folder, with data.yaml. */
  readonly dir: string;
  /** The folder that has the shipped part: sallyport/, schemas/, capabilities.json. */
  readonly shipped: string;
  /** The folder of the site's own rules, which need not exist. */
  readonly site: string;
  /** Where the compiled policy is written and looked for. */
  readonly compiled: string;
}

/** A policy folder, as configured: `site_dir` where the site's rules are not in `<dir>/site`. */
export interface PolicyPlace {
  dir: string;
  site_dir?: string | undefined;
}

/** Finds the parts. A site folder elsewhere holds the compiled policy as well: the policy folder may be read-only. */
export function policyPaths(place: string | PolicyPlace): PolicyPaths {
  const { dir, site_dir } = typeof place === 'string' ? { dir: place, site_dir: undefined } : place;
  const folder = resolve(dir);
  if (site_dir !== undefined && !existsSync(resolve(site_dir)))
    throw new OperatorError(`${shown(resolve(site_dir))} does not exist; it should hold the rules of the site`);
  const site = site_dir === undefined ? join(folder, 'site') : resolve(site_dir);
  return {
    dir: folder,
    shipped: existsSync(join(folder, 'sallyport')) ? folder : PACKAGED,
    site,
    compiled: join(site_dir === undefined ? folder : site, 'compiled'),
  };
}

/** The policy folder of this package. */
export const PACKAGED = join(PACKAGE_ROOT, 'policies');

/** A path as it is shown: from the working folder. */
export const shown = (path: string): string => relative('', path) || path;
