// Makes the policy that decides of one that was loaded and checked.
import { createZoneClock, type LocalTime } from '../core/zones.ts';
import type { Bundle } from './bundle.ts';
import { backing, createEvaluator, type Evaluator, type Guard } from './evaluator.ts';
import { type Aged, endOfSession } from './lifetimes.ts';

/** How long an evaluation may take. */
export interface Limits {
  /** Longest evaluation that still counts, in milliseconds. */
  budget_ms: number;
  /** The guard for a policy. */
  guard: (policy: Pick<Bundle, 'revision' | 'wasmSha256'>) => Guard;
}

export interface Policy extends Omit<Bundle, 'settingsFile'> {
  readonly evaluator: Evaluator;
  /** Codes of the rules that refuse a place for itself. */
  readonly ownPlaces: ReadonlySet<string>;
  /** Local time in the zones of the settings; undefined where none is set. */
  readonly zones: (now: number) => Readonly<Record<string, LocalTime>> | undefined;
  /** When a session that nobody uses is past its time; see `endOfSession`. */
  readonly endsAt: (session: Aged) => number;
}

/** Instantiates a policy that was loaded and checked. Throws an OperatorError when it is none. */
export function policyOf(bundle: Omit<Bundle, 'settingsFile'>, { budget_ms, guard }: Limits): Policy {
  const evaluator = createEvaluator({
    module: bundle.module,
    data: { settings: bundle.settings },
    budgetMs: budget_ms,
    guard: guard(bundle),
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
