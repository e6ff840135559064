// The policies that a reviewer compares: a folder, a bundle in one file, or a revision of Git.
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { type PolicyPlace, shown } from '../../decision/data/paths.ts';
import { type Files, isArchive, readFiles } from '../signed/files.ts';
import { findRevision } from './git.ts';

/** Where the policy of the working folder is; a revision is looked up for the same folders. */
export interface Home extends PolicyPlace {
  /** Folder like policy-tests; by default the one beside the policy. */
  tests?: string | undefined;
}

/** One version, laid out in a folder. */
export interface Version {
  /** As it was asked for, such as "HEAD~1". */
  name: string;
  /** The commit, where it is a revision. */
  commit: string | undefined;
  place: PolicyPlace;
  /** Undefined where there is no such folder: that of the package then holds. */
  tests: string | undefined;
  /** A path in it as a person knows it: "HEAD~1:data.yaml" where it was laid out. */
  named(path: string): string;
}

/**
 * Calls `work` with a version. `asked`: the path of a folder, or of a bundle (.tar.gz), or a revision of the repository
 * that the policy folder is in; undefined is the policy folder as it is. What was laid out is removed afterwards, and named in
 * no message. Rejects with an OperatorError.
 */
export async function withVersion<T>(
  asked: string | undefined,
  home: Home,
  work: (version: Version) => Promise<T>,
): Promise<T> {
  const { dir, site_dir, tests } = home;
  const isFolder = asked !== undefined && existsSync(asked) && statSync(asked).isDirectory();
  if (asked === undefined || (isFolder && resolve(asked) === resolve(dir)))
    return work({ name: asked ?? shown(dir), commit: undefined, place: { dir, site_dir }, tests, named: shown });
  if (isFolder)
    return work({ name: asked, commit: undefined, place: { dir: resolve(asked) }, tests: undefined, named: shown });
  if (isArchive(asked) && existsSync(asked)) return laidOut(asked, undefined, { policy: await readFiles(asked) }, work);
  const revision = await findRevision(asked, existingAbove(resolve(dir))).catch((thrown) => {
    throw new OperatorError(
      `${JSON.stringify(asked)} is no folder, no bundle (.tar.gz) and no revision of Git (${messageOf(thrown)})`,
    );
  });
  const policy = await revision.read(dir);
  if (!policy) throw new OperatorError(`the revision ${asked} has no ${shown(resolve(dir))}`);
  const [site, testFiles] = [
    site_dir === undefined ? undefined : ((await revision.read(site_dir)) ?? new Map<string, Buffer>()),
    await revision.read(tests ?? join(dirname(resolve(dir)), 'policy-tests')),
  ];
  return laidOut(asked, revision.commit, { policy, site, tests: testFiles }, work);
}

interface Parts {
  policy: Files;
  site?: Files | undefined;
  tests?: Files | undefined;
}

async function laidOut<T>(
  name: string,
  commit: string | undefined,
  { policy, site, tests }: Parts,
  work: (version: Version) => Promise<T>,
): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), `sallyport-version-${process.pid}-`));
  const [dir, siteDir, testsDir] = ['policies', 'site', 'policy-tests'].map((part) => join(root, part)) as [
    string,
    string,
    string,
  ];
  try {
    write(dir, policy);
    if (site) write(siteDir, site);
    if (tests) write(testsDir, tests);
    const place = site ? { dir, site_dir: siteDir } : { dir };
    const named = (path: string) =>
      `${name}:${relative([dir, siteDir].find((each) => path.startsWith(each)) ?? root, path)}`;
    return await work({ name, commit, place, tests: tests && testsDir, named });
  } catch (thrown) {
    if (!(thrown instanceof OperatorError)) throw thrown;
    const told = (text: string, path: string) => text.replaceAll(path, name).replaceAll(shown(path), name);
    throw new OperatorError([dir, root].reduce(told, thrown.message));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function write(root: string, files: Files): void {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  for (const [name, content] of files) {
    // Git lets a tree name anything that somebody wrote into it by hand.
    if (name.split('/').includes('..')) throw new OperatorError(`it has a file with the name ${JSON.stringify(name)}`);
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, content, { mode: 0o600 });
  }
}

/** The folder itself, or the nearest above it that there is: a revision may have what the working copy has lost. */
function existingAbove(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existingAbove(dirname(path));
}
