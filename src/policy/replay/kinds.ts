// The ways in which a decision can change, by name, and which side of each is the looser one. `--fail-on` takes the same names.
import { obligationSchema } from '../../decision/schema.ts';
import type { Tone } from '../report/document/document.ts';

const OUTCOMES = ['allow', 'rotate', 'deny'] as const;
const OBLIGATIONS = obligationSchema.options.map(({ shape }) => shape.type.value);

/** Every pair of outcomes, such as "deny->allow". */
export const TRANSITIONS: readonly string[] = OUTCOMES.flatMap((from) => OUTCOMES.map((to) => `${from}->${to}`));

/** Every name, those that loosen first. */
export const KINDS: readonly string[] = [
  ...TRANSITIONS.filter((each) => new Set(each.split('->')).size === 2),
  ...OBLIGATIONS.flatMap((type) => [`${type}-lost`, `${type}-changed`, `${type}-added`]),
  ...['observed', 'reasons', 'params'],
].sort((a, b) => order(a) - order(b));

/** "bad": the policy got looser there; "warn": it got stricter, or may have. */
export function toneOf(kind: string): Tone {
  const [from, to] = kind.split('->');
  if (to !== undefined) return OUTCOMES.indexOf(to as never) < OUTCOMES.indexOf(from as never) ? 'bad' : 'warn';
  if (kind.endsWith('-lost')) return 'bad';
  return kind === 'params' || kind === 'reasons' ? 'quiet' : 'warn';
}

function order(kind: string): number {
  return ['bad', 'warn', 'quiet'].indexOf(toneOf(kind));
}

/** By their order in `KINDS`. */
export const byKind = (a: string, b: string): number => KINDS.indexOf(a) - KINDS.indexOf(b);

/** "deny -> allow" in words, and the names of the rest. */
export const titleOf = (kind: string): string =>
  TITLES[kind] ?? kind.replace('->', ' → ').replace('-', ' ').replaceAll('_', ' ');

const TITLES: Record<string, string> = {
  observed: 'what was let pass and is on record (observed)',
  reasons: 'other reasons, the same outcome',
  params: 'other values in the reasons',
};
