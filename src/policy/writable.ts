// Who else can write a policy. Where nothing is signed, whoever can write the folder decides every call.
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../core/errors.ts';
import { PACKAGE_ROOT } from '../core/paths.ts';
import { type PolicyPlace, policyPaths } from '../decision/data/paths.ts';
import { sourceFiles } from '../decision/manifest.ts';

/**
 * Throws an OperatorError for a folder or a file of the policy that others can write, or a group that is not that of this
 * process. The policy of the package is left out: who can write that can write the program. Windows has no such modes.
 */
export function refuseWritable(place: PolicyPlace): void {
  const paths = policyPaths(place);
  const own = [
    ...[paths.dir, paths.site, paths.compiled, join(paths.dir, 'data.yaml')],
    ...['policy.wasm', 'manifest.json', 'cases.json'].map((name) => join(paths.compiled, name)),
    ...sourceFiles(paths).values(),
  ];
  refuseWritablePaths(own.filter((path) => !path.startsWith(join(PACKAGE_ROOT, 'policies'))));
}

/** The same for single paths; one that does not exist is passed over. */
export function refuseWritablePaths(paths: readonly string[]): void {
  if (process.platform === 'win32') return;
  for (const path of paths.filter((each) => existsSync(each)))
    if (isWritable(path))
      throw new OperatorError(
        `others can write ${path} (mode ${(statSync(path).mode & 0o777).toString(8)}), and with it what is decided; run: chmod go-w ${path}`,
      );
}

function isWritable(path: string): boolean {
  const { mode, gid } = statSync(path);
  const shared = (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== process.getgid?.());
  return shared && !isReadOnly(path);
}

/** A mount that nobody can write, whatever its mode says, such as a ConfigMap. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EROFS';
  }
}
