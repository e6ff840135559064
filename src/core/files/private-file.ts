// Files that hold secrets: written with mode 0600 in one step, and not accepted when others can read them.
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, OperatorError } from '../errors.ts';

/**
 * Throws an OperatorError when the file is missing or its mode gives group or others access. Windows has no such
 * mode, so there the mode is not checked.
 */
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

/** Reads a private JSON file. Throws an OperatorError when it is missing, readable by others, or not JSON. */
export function readPrivateJson(path: string): unknown {
  refuseReadableByOthers(path);
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new OperatorError(`${path} is not JSON`);
  }
}

/**
 * Writes a temporary file and renames it, so that a reader sees the old file or the new one, never half of one.
 */
export function writePrivateFile(path: string, data: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}.tmp`;
  writeFileSync(partial, data, { mode: 0o600 });
  renameSync(partial, path);
}

/**
 * Creates the folder with mode 0700. A folder that exists already is not changed; an OperatorError is thrown when
 * others can read it.
 */
export function preparePrivateFolder(dir: string): void {
  if (!existsSync(dir)) mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (process.platform !== 'win32' && (statSync(dir).mode & 0o077) !== 0) {
    throw new OperatorError(`${dir} holds keys and can be read by others; run: chmod 700 ${dir}`);
  }
}
