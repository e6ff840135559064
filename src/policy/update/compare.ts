// What the cases of a policy folder decide before and after an update, without an OPA: both policies are compiled.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { policyPaths } from '../../decision/data/paths.ts';
import { createEvaluator } from '../../decision/evaluator.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import { loadCases } from '../cases.ts';
import { summary } from '../run/self-test.ts';

/** A case that is not decided as before. */
export interface Changed {
  name: string;
  before: string;
  after: string;
}

/** The compiled policy of a folder as it is, whether it belongs to the sources or not; undefined when there is none. */
export function compiledAsIs(dir: string): Uint8Array | undefined {
  const file = join(policyPaths(dir).compiled, 'policy.wasm');
  return existsSync(file) ? new Uint8Array(readFileSync(file)) : undefined;
}

/** The module, unless it is of a version that this one cannot ask, or damaged. */
function usable(wasm: Uint8Array | undefined): WebAssembly.Module | undefined {
  try {
    const module = wasm && new WebAssembly.Module(wasm);
    if (module) createEvaluator({ module, data: {}, budgetMs: 10_000 });
    return module;
  } catch {
    return undefined;
  }
}

/** Decides every case of a folder with both policies. Cases that the old policy cannot decide are compared with what they expect. */
export function compareCases(
  cases: string,
  settings: LoadedSettings,
  before: Uint8Array | undefined,
  after: Uint8Array,
): Changed[] {
  if (!existsSync(join(cases, 'bases.yaml'))) return [];
  const [old, fresh] = [usable(before), usable(after)];
  return loadCases(cases, settings).flatMap(({ name, input, settings: own, expect }) => {
    const decide = (module: WebAssembly.Module | undefined): string | undefined => {
      if (!module) return undefined;
      const evaluation = createEvaluator({ module, data: { settings: own }, budgetMs: 10_000 }).evaluate(input);
      const decided = evaluation.ok ? summary(evaluation.decision) : undefined;
      return decided ? `${decided.outcome} (${decided.reasons.join(', ')})` : undefined;
    };
    const was = decide(old) ?? `${expect.outcome} (${[...expect.reasons].sort().join(', ')})`;
    const is = decide(fresh) ?? 'no decision';
    return was === is ? [] : [{ name, before: was, after: is }];
  });
}
