// Decisions as they may stand in the decision log. A parameter that a rule took from an argument follows the tool's `audit`
// list as the argument does: what is erased from a record stands nowhere in it.
import type { Manifest } from '../decision/manifest.ts';
import type { Obligation, PolicyDecision, Reason } from '../decision/schema.ts';
import { pointerOf } from '../formats/json.ts';
import type { Erasure } from './erasure.ts';

/** For each reason code, which parameters are taken from which arguments; see `Manifest`. */
export type ParameterSources = Readonly<Record<string, NonNullable<Manifest['reasons'][string]['from_arguments']>>>;

/** Of the reasons of a manifest, those with parameters from arguments. */
export const parameterSources = (reasons: Manifest['reasons']): ParameterSources =>
  Object.fromEntries(
    Object.entries(reasons).flatMap(([code, { from_arguments: from }]) => (from ? [[code, from]] : [])),
  );

/** What decides on a parameter: where rules take it from, what may stand, and what else is erased. */
export interface Logging {
  sources: ParameterSources;
  audited: readonly string[];
  erasure: Erasure;
}

/** A reason as it may be on record. `masked`: names of parameters that are pseudonyms; `erased`: all are left out. */
interface LoggedReason {
  reason: Reason;
  masked: readonly string[];
  erased: boolean;
}

const AS_IT_IS: Pick<LoggedReason, 'masked' | 'erased'> = { masked: [], erased: false };

/** What the rules take from arguments is known beforehand, whatever they make of it; the rest is compared with what is erased. */
export function loggedReason(reason: Reason, { sources, audited, erasure }: Logging): LoggedReason {
  const from = Object.hasOwn(sources, reason.code) ? sources[reason.code] : undefined;
  const mayStay = (name: string) =>
    [...(from?.[name] ?? []), ...(from?.['*'] ?? [])].every((argument) => audited.includes(argument));
  const entries = Object.entries(reason.params);
  // Where any parameter may come from an argument, so may its name.
  const named = from?.['*'] && entries.some(([name]) => !mayStay(name));
  if (named || entries.some(([name]) => erasure.text(name) !== name))
    return { reason: { ...reason, params: {} }, masked: [], erased: true };
  const masked: string[] = [];
  const params = entries.map(([name, value]) => {
    const kept = mayStay(name) ? erasure.value(value) : erasure.pseudonym(value);
    if (kept !== value) masked.push(name);
    return [name, kept];
  });
  return masked.length === 0
    ? { reason, ...AS_IT_IS }
    : { reason: { ...reason, params: Object.fromEntries(params) }, masked, erased: false };
}

/** A decision as it may be on record, and JSON pointers to what was left out of it and to what pseudonyms stand for. */
export function loggedDecision(
  decision: PolicyDecision,
  logging: Logging,
): { result: PolicyDecision; erased: string[]; masked: string[] } {
  const erased: string[] = [];
  const masked: string[] = [];
  const logged = (reason: Reason, at: string): Reason => {
    const kept = loggedReason(reason, logging);
    if (kept.erased) erased.push(`/result${at}/params`);
    for (const name of kept.masked) masked.push(`/result${at}/params${pointerOf([name])}`);
    return kept.reason;
  };
  const obligation = (one: Obligation, i: number): Obligation => {
    const at = `/obligations/${i}`;
    if (one.type === 'alert') return one.reason ? { ...one, reason: logged(one.reason, `${at}/reason`) } : one;
    return hidden(one, at, logging.erasure, masked) as Obligation;
  };
  const reasons = decision.reasons.map((reason, i) => logged(reason, `/reasons/${i}`));
  const obligations = decision.obligations.map(obligation);
  const observed = decision.observed?.map((reason, i) => logged(reason, `/observed/${i}`));
  // In most decisions there is nothing to erase, and the text of the decision is at hand.
  if (erased.length + masked.length === 0) return { result: decision, erased, masked };
  return { result: { ...decision, reasons, obligations, ...(observed && { observed }) }, erased, masked };
}

/** What a rule orders may quote an argument as well, such as a pointer that was made of one. */
function hidden(value: unknown, at: string, erasure: Erasure, masked: string[]): unknown {
  if (Array.isArray(value))
    return same(
      value,
      value.map((item, i) => hidden(item, `${at}/${i}`, erasure, masked)),
    );
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    const kept = entries.map(([name, item]) => hidden(item, at + pointerOf([name]), erasure, masked));
    return kept.every((item, i) => item === entries[i]?.[1])
      ? value
      : Object.fromEntries(entries.map(([name], i) => [name, kept[i]]));
  }
  const kept = typeof value === 'string' ? erasure.text(value) : value;
  if (kept !== value) masked.push(`/result${at}`);
  return kept;
}

const same = (before: unknown[], after: unknown[]): unknown[] =>
  after.every((item, i) => item === before[i]) ? before : after;
