// What a start does about a compiled policy that is stale: compiles it with the OPA there is, or says what is missing.
import type { Recompile } from '../decision/bundle.ts';
import { compile } from './compiler.ts';
import { type FindOpaOptions, findOpa, noCompilerError } from './opa.ts';

/** The compilation is kept in memory only; "sallyport policy build" writes it to the folder. */
export function recompileWith(options: FindOpaOptions = {}): Recompile {
  return async (dir, why) => {
    const opa = await findOpa(options);
    if (!opa) throw noCompilerError(why);
    options.progress?.(
      `${why}: compiling with OPA ${opa.version} (${opa.source}); "sallyport policy build" keeps the result`,
    );
    return compile(dir, opa);
  };
}
