// The shipped part of a policy folder against the one of this version. An edited file is no error, and it is named: an
// update replaces it, and rules of the site have a place of their own.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '../../core/paths.ts';
import { PACKAGED, type PolicyPaths, shown } from '../../decision/data/paths.ts';
import { hashOf } from '../../decision/manifest.ts';

/** A file of the shipped part: path below the policy folder, and how it differs from this version. */
export interface ShippedDifference {
  name: string;
  kind: 'changed' | 'added' | 'missing';
}

/** The files that come with the version, by their path below the policy folder. */
export function shippedFiles(dir: string): string[] {
  const below = (name: string): string[] =>
    existsSync(join(dir, name))
      ? readdirSync(join(dir, name), { recursive: true, encoding: 'utf8' })
          .filter((file) => /\.(rego|yaml|json)$/.test(file))
          .map((file) => `${name}/${file.replaceAll('\\', '/')}`)
      : [];
  const single = ['capabilities.json'].filter((name) => existsSync(join(dir, name)));
  return [...below('sallyport'), ...below('schemas'), ...single].sort();
}

/** How the shipped part of a folder differs from that of this version. */
export function shippedDifferences({ shipped }: PolicyPaths): ShippedDifference[] {
  if (shipped === PACKAGED) return [];
  const [theirs, ours] = [shippedFiles(shipped), shippedFiles(PACKAGED)];
  return [...new Set([...theirs, ...ours])].sort().flatMap((name): ShippedDifference[] => {
    if (!theirs.includes(name)) return [{ name, kind: 'missing' }];
    if (!ours.includes(name)) return [{ name, kind: 'added' }];
    return hashOf(join(shipped, name)) === hashOf(join(PACKAGED, name)) ? [] : [{ name, kind: 'changed' }];
  });
}

/** What a person is told about each. */
export function editedFiles(paths: PolicyPaths): { file: string; message: string }[] {
  const words = { changed: 'differs from', added: 'is not part of', missing: 'is missing, and belongs to' };
  return shippedDifferences(paths).map(({ name, kind }) => ({
    file: shown(join(paths.shipped, name)),
    message: `${words[kind]} the shipped policy of version ${VERSION}; "sallyport policy update" shows how, and rules of the site belong into site/`,
  }));
}
