// `sallyport policy build`: compiles the Rego sources and writes the result beside them.
import { resolve } from 'node:path';
import { loadSettings } from '../../decision/bundle.ts';
import { compile, writeCompiled } from '../../policy/compiler.ts';
import { findOpa, noCompilerError } from '../../policy/opa.ts';
import { print, printJson, progress } from '../output.ts';

/**
 * Checks the settings, compiles and prints the hash of the WASM. Rejects with an OperatorError when there is no
 * compiler or the policy has an error.
 */
export async function policyBuild({ dir, json = false }: { dir: string; json?: boolean }): Promise<void> {
  loadSettings(resolve(dir));
  const opa = await findOpa({ progress });
  if (!opa) throw noCompilerError('policies cannot be built');
  const compiled = await compile(resolve(dir), opa);
  writeCompiled(resolve(dir), compiled);
  const { wasm_sha256, sources } = compiled.manifest;
  if (json) printJson({ wasm_sha256, bytes: compiled.wasm.length, opa: opa.version });
  else
    print(
      `${dir}/compiled/policy.wasm: ${compiled.wasm.length} bytes from ${Object.keys(sources).length} sources with OPA ${opa.version}, sha256 ${wasm_sha256}`,
    );
}
