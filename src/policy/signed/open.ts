// Lays a policy out where nobody else can change it, after it was verified: a folder or a bundle becomes a folder that can be
// loaded as any other. Without keys a folder is loaded from where it is.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { type PolicyPlace, shown } from '../../decision/data/paths.ts';
import { refuseWritablePaths } from '../writable.ts';
import { type Files, isArchive, readFiles } from './files.ts';
import { dataIn, isData, SIGNATURES, type Signed, type VerifyKey, verify } from './verify.ts';

/** How the folders begin in which policies are laid out by this process. */
const layoutPrefix = `sallyport-policy-${process.pid}-`;

/** Removes those that a thread left behind which was ended. */
export function removeLayouts(): void {
  for (const name of readdirSync(tmpdir()))
    if (name.startsWith(layoutPrefix)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
}

/** A policy that may be loaded from `place`. */
export interface Verified {
  place: PolicyPlace;
  /** Undefined where no key is configured, so that nothing was verified. */
  signed: Signed | undefined;
  /** What was verified, so that it can be kept with its signature. */
  files: Files | undefined;
  /** A message with the place that was given, where it names the one in which it was laid out. */
  told: (message: string) => string;
}

/**
 * Calls `work` with the policy. Rejects with an OperatorError, which names the place that was given, where it cannot be
 * verified or `work` cannot use it. What was laid out is removed afterwards.
 */
export async function withVerified<T>(
  given: PolicyPlace,
  keys: readonly VerifyKey[],
  work: (verified: Verified) => Promise<T>,
): Promise<T> {
  const { dir, site_dir } = given;
  if (keys.length === 0 && !isArchive(dir))
    return work({ place: given, signed: undefined, files: undefined, told: (message) => message });
  if (site_dir !== undefined)
    throw new OperatorError(
      'policy.site_dir: a signature covers one folder; put the rules into site of the policy folder',
    );
  if (keys.length === 0) refuseWritablePaths([dir]);
  const files = await readFiles(dir);
  return withFiles(dir, files, keys, work);
}

/** Does the same with files that were read before. `name`: as messages have it. */
export async function withFiles<T>(
  name: string,
  files: Files,
  keys: readonly VerifyKey[],
  work: (verified: Verified) => Promise<T>,
): Promise<T> {
  const signed = keys.length === 0 ? undefined : await verify(name, files, keys);
  const dir = mkdtempSync(join(tmpdir(), layoutPrefix));
  const told = (message: string) => message.replaceAll(dir, name).replaceAll(shown(dir), name);
  try {
    for (const [file, content] of files) {
      if (file === SIGNATURES) continue;
      const path = join(dir, file);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      // What was hashed is what is loaded: two readers of YAML may read one text as two things. JSON has one.
      const hashed = signed && isData(file) && /\.ya?ml$/.test(file) ? JSON.stringify(dataIn(file, content)) : content;
      writeFileSync(path, hashed, { mode: 0o600 });
    }
    return await work({ place: { dir }, signed, files, told });
  } catch (thrown) {
    if (thrown instanceof OperatorError) throw new OperatorError(told(thrown.message));
    throw thrown;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
