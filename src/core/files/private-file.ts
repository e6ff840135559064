// What this process writes for itself alone: files with mode 0600, written in one step, in folders with mode 0700.
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { OperatorError } from '../errors.ts';

/**
 * Writes a temporary file and renames it, so that a reader sees the old file or the new one, never half of one.
 */
export function writePrivateFile(path: string, data: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}.tmp`;
  writeFileSync(partial, data, { mode: 0o600 });
  renameSync(partial, path);
}

/** The folder that is made inside one that others have a part in. */
const INSIDE = 'sallyport-private';

/**
 * Where private files of a folder are: in it, or, where it is a mount that belongs to somebody else and others have a part
 * in it, in a folder of its own inside. Changes nothing.
 */
export function privateFolder(dir: string): string {
  const stat = statOf(dir);
  return stat?.isDirectory() && isShared(stat) && (stat.uid === 0 || stat.uid !== process.getuid?.())
    ? join(dir, INSIDE)
    : dir;
}

/**
 * Creates the folder with mode 0700. A folder that exists already is not changed; an OperatorError is thrown when
 * others can read it, or when it belongs to another user.
 */
export function preparePrivateFolder(dir: string): void {
  try {
    if (!existsSync(dir)) mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new OperatorError(`${dir} cannot be made: ${(thrown as NodeJS.ErrnoException).code ?? 'unknown error'}`);
  }
  const uid = process.getuid?.();
  let stat = statOf(dir);
  if (stat && !stat.isDirectory()) throw new OperatorError(`${dir} is a file; a folder is wanted there`);
  if (process.platform === 'win32' || !stat) return;
  // Kubernetes gives everything on a volume to a group at each start of a pod (fsGroup). What is ours stays ours alone.
  if (isShared(stat) && basename(dir) === INSIDE && stat.uid === uid) {
    closeToOthers(dir, uid);
    stat = statSync(dir);
  }
  if (isShared(stat)) throw new OperatorError(`${dir} holds keys and can be read by others; run: chmod 700 ${dir}`);
  if (stat.uid !== uid)
    throw new OperatorError(`${dir} holds keys and belongs to uid ${stat.uid}, while this process has uid ${uid}`);
}

/** Throws the OperatorError that preparing the folder would, and changes nothing. */
export function checkPrivateFolder(dir: string): void {
  if (existsSync(dir)) {
    if (basename(dir) !== INSIDE) preparePrivateFolder(dir);
    return;
  }
  let parent = dirname(dir);
  while (!existsSync(parent)) parent = dirname(parent);
  try {
    accessSync(parent, constants.W_OK);
  } catch {
    throw new OperatorError(`${dir} cannot be made: ${parent} is not writable by this user`);
  }
}

function closeToOthers(dir: string, uid: number): void {
  chmodSync(dir, 0o700);
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    const stat = lstatSync(path);
    if (stat.isFile() && stat.uid === uid) chmodSync(path, stat.mode & 0o700);
  }
}

const isShared = ({ mode }: Stats): boolean => process.platform !== 'win32' && (mode & 0o077) !== 0;

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
