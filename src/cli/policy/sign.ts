// `sallyport policy sign`: signs a policy folder in OPA's form, and packs it where asked.
import { existsSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { readCompiled } from '../../decision/bundle.ts';
import { policyPaths, shown } from '../../decision/data/paths.ts';
import { isArchive, readFiles } from '../../policy/signed/files.ts';
import { pack } from '../../policy/signed/pack.ts';
import { sign, signatureIn } from '../../policy/signed/sign.ts';
import { SIGNATURES } from '../../policy/signed/verify.ts';
import { print, printJson } from '../output.ts';

export interface SignOptions {
  key: string;
  output?: string;
  json?: boolean;
}

/** Rejects with an OperatorError for a policy that is not built, or a key that cannot sign; nothing is written then. */
export async function policySign(dir: string, { key, output, json = false }: SignOptions): Promise<void> {
  if (output !== undefined && !isArchive(output)) throw new OperatorError('--output: the name ends with .tar.gz');
  for (const [option, file] of Object.entries({ '--key': key, '--output': output }))
    if (file !== undefined && isInside(file, dir))
      throw new OperatorError(
        `${option}: ${file} lies in ${dir}, and would be released with the policy; put it elsewhere`,
      );
  // A machine that serves has no OPA, so what is signed must be built.
  if (!readCompiled(dir))
    throw new OperatorError(
      `the compiled policy in ${shown(policyPaths(dir).compiled)} does not belong to its sources; run "sallyport policy build" first`,
    );
  const files = await readFiles(resolve(dir));
  const signature = await sign(files, key, Math.floor(Date.now() / 1000));
  const all = new Map([...files, [SIGNATURES, Buffer.from(signature)]]);
  if (output !== undefined) {
    const partial = `${output}.${process.pid}.tmp`;
    try {
      writeFileSync(partial, await pack(all));
      renameSync(partial, output);
    } catch (thrown) {
      throw new OperatorError(`--output: ${output} cannot be written: ${(thrown as NodeJS.ErrnoException).code}`);
    } finally {
      rmSync(partial, { force: true });
    }
  }
  writeFileSync(signatureIn(dir), signature);
  const [place, count] = [output ?? signatureIn(dir), all.size - 1];
  if (json) printJson({ file: place, files: count });
  else print(`${shown(place)}: ${count} files are signed`);
}

function isInside(file: string, dir: string): boolean {
  const real = (path: string): string =>
    existsSync(path) ? realpathSync(path) : join(real(dirname(resolve(path))), basename(path));
  return !relative(real(dir), real(file)).startsWith('..');
}
