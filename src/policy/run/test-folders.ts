// Where the tests of a policy are: those of the shipped rules come with the version, those of the site lie beside its
// rules or beside the shipped ones.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { PACKAGE_ROOT } from '../../core/paths.ts';
import type { PolicyPaths } from '../../decision/data/paths.ts';
import { sourceFiles } from '../../decision/manifest.ts';
import { shippedDifferences } from '../update/shipped.ts';

/** Folders of tests. `own`: cases that a folder has kept from an older version; the rules are those of this one. */
export interface TestFolders {
  own: string | undefined;
  /** Has sallyport/*.rego and cases/*.yaml. */
  shipped: string;
  /** Each has *.rego and *.yaml. */
  site: string[];
}

/**
 * Finds them. `given` is a folder like policy-tests; else that beside the policy folder, else that of the package. Shipped
 * rules that nobody has edited are tested with the tests of their version, which is this one.
 */
export function testFolders(paths: PolicyPaths, given?: string): TestFolders {
  if (given !== undefined && !existsSync(given))
    throw new OperatorError(`${given} does not exist; it should hold the tests of the policy`);
  const beside = join(dirname(paths.dir), 'policy-tests');
  const packaged = join(PACKAGE_ROOT, 'policy-tests');
  const own = given === undefined ? beside : resolve(given);
  const found = [own, packaged].find((dir) => existsSync(join(dir, 'cases'))) ?? packaged;
  const edited = shippedDifferences(paths).some(({ name }) => name.endsWith('.rego'));
  const shipped = edited ? found : packaged;
  const site = [join(paths.site, 'tests'), join(own, 'site')].filter((dir) => existsSync(dir));
  return { shipped, site, own: found === shipped ? undefined : found };
}

/**
 * What is tested together. The shipped rules are tested without those of the site, which may decide every shipped case
 * otherwise; those of the site are tested with everything, and start from the shipped bases and fixtures.
 */
export interface Part {
  name: 'kept' | 'shipped' | 'site';
  paths: PolicyPaths;
  /** The Rego tests, by the name they get in a stage. */
  rego: ReadonlyMap<string, string>;
  /** The folders of cases, and the index of the first whose cases belong to the part. */
  cases: readonly string[];
  own: number;
  /** The folders of sequences, which need not exist. */
  sequences: readonly string[];
}

/**
 * The parts of a policy: one, or two where the site has rules of its own. `withoutRules`: cases of a site that has none are
 * a part as well; what is compiled does not depend on them.
 */
export function partsOf(paths: PolicyPaths, { shipped, site, own }: TestFolders, withoutRules = false): Part[] {
  const shippedTests = regoIn('shipped', join(shipped, 'sallyport'));
  const shippedCases = join(shipped, 'cases');
  const hasSite = [...sourceFiles(paths).keys()].some((name) => name.startsWith('site/'));
  const first: Part = {
    name: 'shipped',
    paths: { ...paths, site: join(paths.dir, '.none') },
    rego: shippedTests,
    cases: [shippedCases],
    own: 0,
    sequences: [join(shipped, 'sequences')],
  };
  const kept: Part[] =
    own === undefined
      ? []
      : [{ ...first, name: 'kept', rego: new Map(), cases: [join(own, 'cases')], sequences: [join(own, 'sequences')] }];
  // They say what the settings of the site shall mean; left out of a test, they would be cases that never run.
  const hasTests =
    withoutRules &&
    site.some((dir) => readdirSync(dir).some((name) => /\.(ya?ml|rego)$/.test(name) || name === 'sequences'));
  if (!hasSite && !hasTests) return [...kept, first];
  const helpers = [...shippedTests].filter(([name]) => !name.endsWith('_test.rego'));
  const tests = site.flatMap((dir, i) => [...regoIn(`site-${i}`, dir)]);
  return [
    ...kept,
    first,
    {
      ...{ name: 'site', paths, rego: new Map([...helpers, ...tests]), cases: [shippedCases, ...site], own: 1 },
      sequences: site.map((dir) => join(dir, 'sequences')),
    },
  ];
}

function regoIn(name: string, dir: string): Map<string, string> {
  const found = new Map<string, string>();
  if (!existsSync(dir)) return found;
  for (const file of readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort())
    if (file.endsWith('.rego') && !/(^|[/\\])\./.test(file))
      found.set(`tests/${name}/${file.replaceAll('\\', '/')}`, join(dir, file));
  return found;
}
