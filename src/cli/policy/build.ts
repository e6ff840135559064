// `sallyport policy build`: runs the gate, compiles the Rego sources and writes the result.
import { join } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { policyPaths, shown } from '../../decision/data/paths.ts';
import { formatProblem } from '../../formats/yaml/yaml.ts';
import { writeCompiled } from '../../policy/compiler.ts';
import { runGate } from '../../policy/gate/gate.ts';
import { findOpa, noCompilerError } from '../../policy/opa.ts';
import { paint, print, printJson, progress } from '../output.ts';
import { type PolicyOptions, placeOf } from './place.ts';

export interface BuildOptions extends PolicyOptions {
  tests?: string;
  json?: boolean;
}

/**
 * Compiles what the gate lets pass, and prints the hash of the WASM. Rejects with an OperatorError when there is no
 * compiler or the gate refuses; nothing is written then.
 */
export async function policyBuild(options: BuildOptions): Promise<void> {
  const { tests, json = false } = options;
  const place = placeOf(options);
  const opa = await findOpa({ progress });
  if (!opa) throw noCompilerError('policies cannot be built');
  const { compiled, findings } = await runGate(place, opa, { tests });
  const errors = findings.filter(({ level }) => level === 'error');
  if (!compiled) {
    if (!json) throw new OperatorError(errors.map(formatProblem).join('\n'));
    printJson({ ok: false, problems: errors });
    process.exitCode = 1;
    return;
  }
  for (const finding of findings) if (!json) progress(`${paint('yellow', 'warning')} ${formatProblem(finding)}`);
  writeCompiled(place, compiled);
  const { wasm_sha256, sources } = compiled.manifest;
  const file = shown(join(policyPaths(place).compiled, 'policy.wasm'));
  if (json) printJson({ wasm_sha256, bytes: compiled.wasm.length, opa: opa.version });
  else
    print(
      `${file}: ${compiled.wasm.length} bytes from ${Object.keys(sources).length} sources with OPA ${opa.version}, sha256 ${wasm_sha256}`,
    );
}
