// What is needed to ask a policy, and the asking. A thread that replays a log loads this and no more of the workbench.
import { backing, createEvaluator, type Evaluator } from '../../decision/evaluator.ts';
import type { Manifest } from '../../decision/manifest.ts';
import type { LoadedSettings } from '../../decision/settings.ts';

/** What a policy reads of an input. */
export interface Reads {
  /** Names of arguments, each with the tools that its rules are for, an empty list for any; undefined: it may read all. */
  arguments: Readonly<Record<string, readonly string[]>> | undefined;
  /** Paths below the input; undefined: it may read all. */
  input: readonly string[] | undefined;
}

/** What is needed to ask a policy. It can be given to a thread. */
export interface Askable {
  module: WebAssembly.Module;
  settings: LoadedSettings;
  reasons: Manifest['reasons'];
  revision: string;
  reads: Reads;
}

/** Longest evaluation, in milliseconds: nobody waits for it, and a busy machine may put it aside. */
const BUDGET_MS = 10_000;

/** Opens a policy. Throws an OperatorError for one that cannot be asked. */
export function evaluatorOf({
  module,
  settings,
  reasons,
}: Pick<Askable, 'module' | 'settings' | 'reasons'>): Evaluator {
  const isDescribed = Object.keys(reasons).length > 0;
  return createEvaluator({
    ...{ module, data: { settings }, budgetMs: BUDGET_MS },
    ...(isDescribed && { backing: backing({ reasons }) }),
  });
}
