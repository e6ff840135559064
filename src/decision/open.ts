// Opens the policy that decides: loads it, has its names checked, and instantiates it.
import { type Bundle, loadBundle, type Recompile } from './bundle.ts';
import { createEvaluator, type Evaluator } from './evaluator.ts';
import type { SettingsFile } from './settings.ts';

export interface PolicyOptions {
  /** The policy folder: sallyport/*.rego, data.yaml, compiled/. */
  dir: string;
  /** Longest evaluation that still counts, in milliseconds. */
  budget_ms: number;
  recompile: Recompile;
  /** Throws an OperatorError for settings that name what is not there: a control for a misspelt tool is none. */
  checkSettings: (settings: SettingsFile) => void;
}

export interface Policy extends Bundle {
  readonly evaluator: Evaluator;
  /** Codes of the rules that refuse a place for itself. */
  readonly ownPlaces: ReadonlySet<string>;
}

/** Rejects with an OperatorError when something in the folder must be fixed first. */
export async function openPolicy({ dir, budget_ms, recompile, checkSettings }: PolicyOptions): Promise<Policy> {
  const bundle = await loadBundle(dir, recompile);
  checkSettings(bundle.settingsFile);
  const evaluator = createEvaluator({
    module: bundle.module,
    data: { settings: bundle.settings },
    budgetMs: budget_ms,
  });
  const { reasons } = bundle.manifest;
  return { ...bundle, evaluator, ownPlaces: new Set(Object.keys(reasons).filter((code) => reasons[code]?.own_place)) };
}
