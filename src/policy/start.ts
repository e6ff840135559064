// What a start asks about a policy besides loading it: that the WASM decides the cases that travel with it as it did when
// it was built, that nothing in data.yaml is hollow, and, where the configuration says so, that an OPA agrees.
import type { Config } from '../config/load.ts';
import { OperatorError } from '../core/errors.ts';
import type { Bundle } from '../decision/bundle.ts';
import { policyPaths } from '../decision/data/paths.ts';
import { formatProblem } from '../formats/yaml/yaml.ts';
import { configuredNames, unlistedArguments } from './configured.ts';
import { runGate } from './gate/gate.ts';
import { type FindOpaOptions, findOpa } from './opa.ts';
import { selfTest } from './run/self-test.ts';
import { editedFiles } from './update/shipped.ts';
import { refuseWritable } from './writable.ts';

/** Told of what a start goes on with all the same. */
export type Warn = (message: string, fields: Record<string, string>) => void;

/** The check of a policy at start. Rejects with an OperatorError when it must not be served. */
export function startCheck(config: Config, options: FindOpaOptions, warn: Warn): (bundle: Bundle) => Promise<void> {
  return async (bundle) => {
    refuseWritable(config.policy);
    const failed = bundle.cases === undefined ? [] : selfTest(bundle.module, bundle.cases);
    if (failed.length > 0)
      throw new OperatorError(
        `the compiled policy does not decide as when it was built: ${failed.slice(0, 5).join('; ')}; run "sallyport policy build"`,
      );
    if (config.policy.require === 'signed' && !bundle.signed)
      throw new OperatorError('policy.require is "signed", and the policy is not');
    if (config.policy.require === 'compared') await compare(config, bundle, options);
    else if (bundle.unverified !== undefined)
      warn('policy: unverified', { why: bundle.unverified, mend: 'policy.require: compared, or signed' });
    for (const { file, message } of editedFiles(policyPaths(config.policy)))
      warn('a shipped policy file was edited', { file, message });
    for (const { argument, tools } of unlistedArguments(bundle.manifest, configuredNames(config)))
      warn(
        'the policy reads an argument that the audit list of the tool lacks, so its decisions cannot be reproduced from the log',
        { argument, tools: tools.join(', ') },
      );
  };
}

/** `policy.require: compared`: an OPA of the very version compiles the same policy, and the gate lets it pass. */
async function compare({ policy }: Config, { manifest }: Bundle, options: FindOpaOptions): Promise<void> {
  const opa = await findOpa({ ...options, build: false });
  if (!opa || opa.version !== manifest.opa)
    throw new OperatorError(
      `policy.require is "compared", and ${opa ? `the OPA here is ${opa.version}` : 'no OPA is here'}: put OPA ${manifest.opa} on PATH, or set $OPA to its path`,
    );
  const { compiled, findings } = await runGate(policy, opa);
  const errors = findings.filter(({ level }) => level === 'error');
  if (!compiled) throw new OperatorError(errors.map(formatProblem).join('\n'));
  if (
    compiled.manifest.wasm_sha256 !== manifest.wasm_sha256 ||
    JSON.stringify(compiled.manifest.reasons) !== JSON.stringify(manifest.reasons)
  )
    throw new OperatorError(
      'policy.require is "compared", and the compiled policy is not what its sources compile to; run "sallyport policy build"',
    );
}
