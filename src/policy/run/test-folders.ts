// Where the tests of a policy are: those of the shipped rules come with the version, those of the site lie beside its
// rules or beside the shipped ones.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { PACKAGE_ROOT } from '../../core/paths.ts';
import type { PolicyPaths } from '../../decision/data/paths.ts';

/** Folders of tests. */
export interface TestFolders {
  /** Has sallyport/*.rego and cases/*.yaml. */
  shipped: string;
  /** Each has *.rego and *.yaml. */
  site: string[];
}

/** Finds them. `given` is a folder like policy-tests; else that beside the policy folder, else that of the package. */
export function testFolders(paths: PolicyPaths, given?: string): TestFolders {
  if (given !== undefined && !existsSync(given))
    throw new OperatorError(`${given} does not exist; it should hold the tests of the policy`);
  const beside = join(dirname(paths.dir), 'policy-tests');
  const packaged = join(PACKAGE_ROOT, 'policy-tests');
  const own = given === undefined ? beside : resolve(given);
  const shipped = [own, packaged].find((dir) => existsSync(join(dir, 'cases'))) ?? packaged;
  const site = [join(paths.site, 'tests'), join(own, 'site')].filter((dir) => existsSync(dir));
  return { shipped, site };
}

/** The folders with cases, shipped ones first. */
export const caseFolders = ({ shipped, site }: TestFolders): string[] => [join(shipped, 'cases'), ...site];

/** The Rego tests, by the name they get in a stage. */
export function regoTests({ shipped, site }: TestFolders): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, dir] of [['shipped', join(shipped, 'sallyport')], ...site.map((dir, i) => [`site-${i}`, dir])] as [
    string,
    string,
  ][]) {
    if (!existsSync(dir)) continue;
    for (const file of readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort())
      if (file.endsWith('.rego') && !/(^|[/\\])\./.test(file))
        found.set(`tests/${name}/${file.replaceAll('\\', '/')}`, join(dir, file));
  }
  return found;
}
