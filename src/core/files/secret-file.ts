// Files that hold secrets, and who else may have a part in them. Elsewhere only their owner may read them. Where
// Kubernetes, Docker or systemd mount them, they belong to root, a group may read them, and their names are symbolic links:
// there it counts that nobody but root and this user can change them.
import { readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { OperatorError } from '../errors.ts';

/** Folders in which secrets are mounted, besides that of systemd. */
export const TRUSTED_FOLDERS: readonly string[] = ['/run/secrets'];

let trusted: readonly string[] = TRUSTED_FOLDERS;

/**
 * Says in which folders mounted secrets are trusted. It holds for the process, as its files do: commands and a connector
 * set it when they have read their configuration.
 */
export function trustFolders(folders: readonly string[]): void {
  trusted = folders;
}

const foldersInForce = (): string[] =>
  [...trusted, process.env.CREDENTIALS_DIRECTORY ?? ''].filter((dir) => dir !== '');

/** Reads a file with a secret. Throws an OperatorError when it is missing, or others have a part in it that they may not. */
export function readSecretFile(path: string): string {
  refuseSharedWithOthers(path);
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}

/**
 * Throws an OperatorError when the file is missing, or its mode gives others more than it may. Windows has no such mode, so
 * there it is not looked at.
 */
export function refuseSharedWithOthers(path: string): void {
  let real: string;
  let stat: Stats;
  try {
    real = realpathSync(path);
    stat = statSync(real);
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
  if (process.platform === 'win32' || (stat.mode & 0o077) === 0) return;
  const folder = foldersInForce().find((dir) => isWithin(real, dir) && isWithin(join(realOf(dirname(path)), 'x'), dir));
  const inside = foldersInForce().find((dir) => isWithin(join(realOf(dirname(path)), 'x'), dir));
  if (folder === undefined && inside !== undefined)
    throw new OperatorError(
      `${path} is a link that leads out of the trusted folder ${inside}, to ${real}, which others can read`,
    );
  if (folder === undefined)
    throw new OperatorError(
      `${path} can be read by others (mode ${octal(stat)}); run: chmod 600 ${path} (or name its folder under secrets.trusted_dirs, where it is mounted by Kubernetes or Docker)`,
    );
  const problem = changeable(real, stat) ?? changeableFolder(dirname(real)) ?? changeableFolder(realOf(dirname(path)));
  if (problem) throw new OperatorError(`${path} is in the trusted folder ${folder}, but ${problem}`);
}

function changeable(path: string, stat: Stats): string | undefined {
  if (!isOurs(stat)) return `${path} is owned by uid ${stat.uid}, neither root nor this user`;
  return (stat.mode & 0o022) === 0 ? undefined : `others can write to ${path} (mode ${octal(stat)})`;
}

/** In a folder with the sticky bit, as Kubernetes mounts it, others can add names and change none that are there. */
function changeableFolder(dir: string): string | undefined {
  const stat = statSync(dir);
  if (!isOurs(stat)) return `${dir} is owned by uid ${stat.uid}, neither root nor this user`;
  if ((stat.mode & 0o022) !== 0 && (stat.mode & 0o1000) === 0)
    return `others can write to ${dir} (mode ${octal(stat)})`;
  return dir === dirname(dir) ? undefined : changeableFolder(dirname(dir));
}

const isOurs = ({ uid }: Stats): boolean => uid === 0 || uid === process.getuid?.();

const octal = ({ mode }: Stats): string => (mode & 0o7777).toString(8);

function isWithin(path: string, dir: string): boolean {
  const from = relative(realOf(dir), path);
  return from !== '' && from !== '..' && !from.startsWith(`..${sep}`) && resolve(dir, from) !== resolve(dir);
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** Why a file cannot be read, by the code of the system: a file that must not be read is not one that is not there. */
function unreadable(path: string, thrown: unknown): OperatorError {
  const code = (thrown as NodeJS.ErrnoException).code ?? 'unknown error';
  if (code === 'ENOENT') return new OperatorError(`${path} cannot be read: there is no such file (ENOENT)`);
  if (code !== 'EACCES') return new OperatorError(`${path} cannot be read: ${code}`);
  const owner = ownerOf(path);
  return new OperatorError(
    `${path} cannot be read: EACCES${owner}. Run as its owner, or let the mount give it to a group of this user (mode 0440; "fsGroup" in Kubernetes)`,
  );
}

function ownerOf(path: string): string {
  try {
    const stat = statSync(path);
    return `, it belongs to uid ${stat.uid} with mode ${octal(stat)}, and this process has uid ${process.getuid?.() ?? 'unknown'}`;
  } catch {
    return '';
  }
}
