// Takes over the shipped part of a policy folder from this version. What is the site's (data.yaml, site/) stays as it is,
// and what is replaced is kept aside.
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { readCompiled } from '../../decision/bundle.ts';
import { PACKAGED, type PolicyPaths, policyPaths, shown } from '../../decision/data/paths.ts';
import { readSettingsAt } from '../../decision/data/read.ts';
import { sourceFiles } from '../../decision/manifest.ts';
import { patchOf } from '../report/patch.ts';
import { type ShippedDifference, shippedDifferences } from './shipped.ts';

/** One file of the shipped part that this version has otherwise. `patch` is a unified diff. */
export interface Change extends ShippedDifference {
  patch: string;
}

/** What differs, from the folder to this version. */
export function shippedChanges(dir: string): Change[] {
  const paths = policyPaths(dir);
  return shippedDifferences(paths).map((difference) => {
    const { name } = difference;
    const [theirs, ours] = [join(paths.shipped, name), join(PACKAGED, name)].map((file) =>
      existsSync(file) ? readFileSync(file, 'utf8') : '',
    );
    return {
      ...difference,
      patch: patchOf(name, theirs ?? '', ours ?? '', 2),
    };
  });
}

/** What was done. */
export interface Updated {
  changes: Change[];
  /** Where the former files are; undefined when nothing was replaced. */
  kept: string | undefined;
  /** Whether the folder now has a compiled policy that belongs to its sources. */
  compiled: boolean;
}

/**
 * Replaces the shipped part. Throws an OperatorError, and changes nothing, for a folder that is no policy folder. A folder
 * without a shipped part of its own is decided by that of the package, and there is nothing to do.
 */
export function updateShipped(dir: string, now: Date): Updated {
  const paths = policyPaths(dir);
  if (!existsSync(join(paths.dir, 'data.yaml')))
    throw new OperatorError(`${shown(paths.dir)} has no data.yaml, so it is no policy folder`);
  const changes = shippedChanges(dir);
  if (changes.length === 0) return { changes, kept: undefined, compiled: takeCompiled(paths) };
  const kept = join(paths.dir, `replaced-${now.toISOString().slice(0, 19).replaceAll(':', '')}`);
  if (existsSync(kept)) throw new OperatorError(`${shown(kept)} exists already; try again in a second`);
  for (const { name, kind } of changes) {
    if (kind === 'missing') continue;
    mkdirSync(dirname(join(kept, name)), { recursive: true });
    cpSync(join(paths.dir, name), join(kept, name));
  }
  for (const { name, kind } of changes) {
    const file = join(paths.dir, name);
    if (kind === 'added') rmSync(file);
    else {
      mkdirSync(dirname(file), { recursive: true });
      // Under another name first: whoever reads the folder meanwhile sees the one file or the other.
      cpSync(join(PACKAGED, name), `${file}.new`);
      renameSync(`${file}.new`, file);
    }
  }
  const any = changes.some(({ kind }) => kind !== 'missing');
  return { changes, kept: any ? shown(kept) : undefined, compiled: takeCompiled(paths) };
}

/** Without rules of the site, the compiled policy of this version belongs to the folder. */
function takeCompiled(paths: PolicyPaths): boolean {
  const site = [...sourceFiles(paths).keys()].some((name) => name.startsWith('site/'));
  if (!site && paths.shipped === paths.dir) cpSync(join(PACKAGED, 'compiled'), paths.compiled, { recursive: true });
  return readCompiled(paths.dir) !== undefined;
}

/** Reads the settings as the new version does. Throws an OperatorError that says what to mend. */
export const settingsAfter = (dir: string) => readSettingsAt(policyPaths(dir)).settings;
