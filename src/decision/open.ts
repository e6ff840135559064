// Opens the policy that decides: loads it, has its names checked, and instantiates it.
import { createZoneClock, type LocalTime } from '../core/zones.ts';
import { type Bundle, loadBundle, type Recompile } from './bundle.ts';
import { backing, createEvaluator, type Evaluator, type Guard } from './evaluator.ts';
import { type Aged, endOfSession } from './lifetimes.ts';
import type { SettingsFile } from './settings.ts';

/** How long an evaluation may take. */
export interface Limits {
  /** Longest evaluation that still counts, in milliseconds. */
  budget_ms: number;
  /** The guard for a policy, by its revision. */
  guard: (revision: string) => Guard;
}

export interface PolicyOptions {
  /** The policy folder: sallyport/*.rego, data.yaml, compiled/. */
  dir: string;
  limits: Limits;
  recompile: Recompile;
  /** Throws an OperatorError for settings that name what is not there: a control for a misspelt tool is none. */
  checkSettings: (settings: SettingsFile) => void;
  /** Rejects with an OperatorError for a policy that must not be served. */
  check?: (bundle: Bundle) => Promise<void>;
  site_dir?: string | undefined;
}

export interface Policy extends Omit<Bundle, 'settingsFile'> {
  readonly evaluator: Evaluator;
  /** Codes of the rules that refuse a place for itself. */
  readonly ownPlaces: ReadonlySet<string>;
  /** Local time in the zones of the settings; undefined where none is set. */
  readonly zones: (now: number) => Readonly<Record<string, LocalTime>> | undefined;
  /** When a session that nobody uses is past its time (R-21); see `endOfSession`. */
  readonly endsAt: (session: Aged) => number;
}

/** Rejects with an OperatorError when something in the folder must be fixed first. */
export async function openPolicy(options: PolicyOptions): Promise<Policy> {
  const { dir, site_dir, limits, recompile, checkSettings, check } = options;
  const bundle = await loadBundle({ dir, site_dir }, recompile);
  checkSettings(bundle.settingsFile);
  await check?.(bundle);
  return policyOf(bundle, limits);
}

/** Instantiates a policy that was loaded and checked. Throws an OperatorError when it is none. */
export function policyOf(bundle: Omit<Bundle, 'settingsFile'>, { budget_ms, guard }: Limits): Policy {
  const evaluator = createEvaluator({
    module: bundle.module,
    data: { settings: bundle.settings },
    budgetMs: budget_ms,
    guard: guard(bundle.revision),
    backing: backing(bundle.manifest),
  });
  const { reasons } = bundle.manifest;
  const { zones = [] } = bundle.settings;
  return {
    ...bundle,
    evaluator,
    ownPlaces: new Set(Object.keys(reasons).filter((code) => reasons[code]?.own_place)),
    zones: zones.length === 0 ? () => undefined : createZoneClock(zones),
    endsAt: endOfSession(bundle.settings),
  };
}
