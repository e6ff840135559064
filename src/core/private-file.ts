// Files that hold secrets: written 0600 in one step, refused when others can read them.
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, OperatorError } from './errors.ts';

/** Throws when the file is missing or its mode lets group or others in. Windows has no such mode. */
export function refuseReadableByOthers(path: string): void {
  let mode: number;
  try {
    mode = statSync(path).mode;
  } catch (thrown) {
    throw new OperatorError(`${path} cannot be read: ${messageOf(thrown)}`);
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new OperatorError(
      `${path} can be read by others (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${path}`,
    );
  }
}

/** A private JSON file as data. Throws an OperatorError when it is missing, readable by others, or no JSON. */
export function readPrivateJson(path: string): unknown {
  refuseReadableByOthers(path);
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new OperatorError(`${path} is not JSON`);
  }
}

/** Writes beside and renames, so that a reader sees the old file or the new one, never half of one. */
export function writePrivateFile(path: string, data: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}.tmp`;
  writeFileSync(partial, data, { mode: 0o600 });
  renameSync(partial, path);
}

/** Made private when it is made; a folder that was there before is somebody's, and not changed. */
export function preparePrivateFolder(dir: string): void {
  if (!existsSync(dir)) mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (process.platform !== 'win32' && (statSync(dir).mode & 0o077) !== 0) {
    throw new OperatorError(`${dir} holds keys and can be read by others; run: chmod 700 ${dir}`);
  }
}
