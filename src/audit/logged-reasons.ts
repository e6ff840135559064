// Reasons as they may stand in the decision log. A parameter that a rule took from an argument follows the tool's `audit`
// list as the argument does: what is erased from a record stands nowhere in it.
import type { Manifest } from '../decision/manifest.ts';
import type { Obligation, PolicyDecision, Reason } from '../decision/schema.ts';

/** For each reason code, which parameters are taken from which arguments; see `Manifest`. */
export type ParameterSources = Readonly<Record<string, NonNullable<Manifest['reasons'][string]['from_arguments']>>>;

/** Of the reasons of a manifest, those with parameters from arguments. */
export const parameterSources = (reasons: Manifest['reasons']): ParameterSources =>
  Object.fromEntries(
    Object.entries(reasons).flatMap(([code, { from_arguments: from }]) => (from ? [[code, from]] : [])),
  );

/** The reason without the parameters that may not be on record, and their names. */
export function loggedReason(
  reason: Reason,
  sources: ParameterSources,
  audited: readonly string[],
): { reason: Reason; erased: string[] } {
  const from = Object.hasOwn(sources, reason.code) ? sources[reason.code] : undefined;
  if (!from) return { reason, erased: [] };
  const mayStay = (name: string) =>
    [...(from[name] ?? []), ...(from['*'] ?? [])].every((argument) => audited.includes(argument));
  const entries = Object.entries(reason.params);
  return {
    reason: { ...reason, params: Object.fromEntries(entries.filter(([name]) => mayStay(name))) },
    erased: entries.map(([name]) => name).filter((name) => !mayStay(name)),
  };
}

/** A decision as it may be on record, and JSON pointers into it of what was left out. */
export function loggedDecision(
  decision: PolicyDecision,
  sources: ParameterSources,
  audited: readonly string[],
): { result: PolicyDecision; erased: string[] } {
  // In most decisions there is nothing to erase.
  const alerted = decision.obligations.flatMap((one) => (one.type === 'alert' && one.reason ? [one.reason] : []));
  const given = [...decision.reasons, ...(decision.observed ?? []), ...alerted];
  if (!given.some(({ code }) => Object.hasOwn(sources, code))) return { result: decision, erased: [] };
  const erased: string[] = [];
  const logged = (reason: Reason, at: string): Reason => {
    const { reason: kept, erased: names } = loggedReason(reason, sources, audited);
    // Where any parameter may come from an argument, so may its name.
    const from = Object.hasOwn(sources, reason.code) ? sources[reason.code] : undefined;
    if (names.length > 0 && from?.['*']) erased.push(`${at}/params`);
    else for (const name of names) erased.push(`${at}/params/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    return kept;
  };
  const obligation = (one: Obligation, i: number): Obligation =>
    one.type === 'alert' && one.reason ? { ...one, reason: logged(one.reason, `/obligations/${i}/reason`) } : one;
  const result: PolicyDecision = {
    ...decision,
    reasons: decision.reasons.map((reason, i) => logged(reason, `/reasons/${i}`)),
    obligations: decision.obligations.map(obligation),
    ...(decision.observed && { observed: decision.observed.map((reason, i) => logged(reason, `/observed/${i}`)) }),
  };
  return { result, erased };
}
