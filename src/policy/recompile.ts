// What a start does about a compiled policy that does not belong to its sources: checks and compiles it with the OPA
// there is, or says what is missing. It never builds an OPA, which takes a minute and a compiler of Go.

import { OperatorError } from '../core/errors.ts';
import type { Recompile } from '../decision/bundle.ts';
import { policyPaths, shown } from '../decision/data/paths.ts';
import { formatProblem } from '../formats/yaml/yaml.ts';
import { runGate } from './gate/gate.ts';
import { type FindOpaOptions, findOpa, noCompilerError } from './opa.ts';

/** The compilation is kept in memory only; "sallyport policy build" writes it to the folder. */
export function recompileWith(options: FindOpaOptions = {}): Recompile {
  return async (place, why) => {
    const opa = await findOpa({ ...options, build: false });
    if (!opa) throw noCompilerError(why);
    options.progress?.(
      `${why}: checking and compiling with OPA ${opa.version} (${opa.source}); "sallyport policy build" keeps the result`,
    );
    const { compiled, findings } = await runGate(place, opa);
    if (compiled) return compiled;
    const errors = findings.filter(({ level }) => level === 'error');
    throw new OperatorError(
      [`the policy in ${shown(policyPaths(place).dir)} is not served, because "sallyport policy check" refuses it:`]
        .concat(errors.map(formatProblem))
        .join('\n'),
    );
  };
}
