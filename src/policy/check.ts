// Checks everything about a policy folder that can be known without serving it: the gate, and whether the compiled policy
// is what the sources compile to. A problem names file and line where they are known, because it is read in an editor or a
// pull request.
import { join } from 'node:path';
import { readCompiled, revisionOf } from '../decision/bundle.ts';
import { type PolicyPlace, policyPaths, shown } from '../decision/data/paths.ts';
import type { Compiled } from '../decision/manifest.ts';
import type { Problem } from '../formats/yaml/yaml.ts';
import type { GateFinding } from './gate/finding.ts';
import { type GateOptions, type GateResult, runGate } from './gate/gate.ts';
import { staleMatrix } from './matrix/stale.ts';
import type { Opa } from './opa.ts';
import { inputRead } from './rego/reads.ts';

/** Answers all problems of the policy folder, without the warnings. */
export async function checkPolicies(
  place: string | PolicyPlace,
  opa: Opa,
  options: GateOptions = {},
): Promise<Problem[]> {
  const { findings } = await checkFolder(place, opa, options);
  return findings
    .filter(({ level }) => level === 'error')
    .map(({ file, line, path, message }) => ({ file, line, path, message }));
}

/** Everything that the gate says of the folder and of the compiled policy in it. */
export async function checkFolder(
  place: string | PolicyPlace,
  opa: Opa,
  options: GateOptions = {},
): Promise<GateResult> {
  const result = await runGate(place, opa, options);
  if (!result.compiled) return result;
  const findings = [...result.findings, ...stale(place, result.compiled), ...matrixProblems(place, result, options)];
  return { ...result, findings };
}

/** The access matrix in the folder, if there is one, says what the policy says. */
function matrixProblems(
  place: string | PolicyPlace,
  { compiled, settings, modules = [] }: GateResult,
  { names }: GateOptions,
): GateFinding[] {
  if (!compiled || !settings) return [];
  const { wasm, manifest } = compiled;
  const tools = names && [...names.tools].map(([name, { backend, effect }]) => ({ name, backend, effect }));
  const policy = {
    ...{ settings, reasons: manifest.reasons, revision: revisionOf(manifest.wasm_sha256, settings) },
    module: new WebAssembly.Module(new Uint8Array(wasm)),
    reads: { arguments: undefined, input: inputRead(modules) },
    modules,
  };
  return staleMatrix(policyPaths(place), policy, tools);
}

/** Checks that the committed WASM is what the sources compile to, byte for byte. */
function stale(place: string | PolicyPlace, fresh: Compiled): GateFinding[] {
  const message = differs(readCompiled(place), fresh);
  if (message === undefined) return [];
  return [
    {
      file: shown(join(policyPaths(place).compiled, 'policy.wasm')),
      line: 0,
      path: '',
      message: `${message}; run: sallyport policy build`,
      rule: 'compiled',
      level: 'error',
    },
  ];
}

function differs(committed: Compiled | undefined, fresh: Compiled): string | undefined {
  if (!committed) return 'does not belong to the sources';
  if (!fresh.wasm.equals(committed.wasm)) return 'differs from what the sources compile to';
  if (JSON.stringify(fresh.manifest) !== JSON.stringify(committed.manifest))
    return 'manifest.json differs from what the sources say';
  return undefined;
}
