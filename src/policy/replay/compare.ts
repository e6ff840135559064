// Compares two decisions on one input: outcome, reasons, what was observed, obligations (R-77). Order says nothing in them.
// What a record no longer holds of a decision, or has a pseudonym for, is compared as such: it is as good as any value.
import type { Obligation, PolicyDecision, Reason } from '../../decision/schema.ts';
import { canonicalJson, isObject, pointerOf } from '../../formats/json.ts';

/** How two decisions differ. */
export interface Difference {
  /** Such as "deny->allow"; the two are the same where only something else changed. */
  transition: string;
  /**
   * What changed, and in which detail: `reasons` and `observed` (codes), `params` (values in reasons of the same codes), and of
   * each type of obligation `<type>-lost`, `<type>-added` and `<type>-changed`. Empty: the decisions are the same.
   */
  changes: readonly { kind: string; detail: string }[];
  /** The codes on both sides, as "a, b -> c". */
  codes: string;
}

/** JSON pointers below a record whose values it does not hold. */
export type Hidden = ReadonlySet<string>;
const NOTHING: Hidden = new Set();

/** `hidden`: of the first decision. */
export function compareDecisions(before: PolicyDecision, after: PolicyDecision, hidden = NOTHING): Difference {
  const codes = [codesOf(before.reasons), codesOf(after.reasons)] as const;
  const transition = `${before.outcome}->${after.outcome}`;
  const reasons = reasonChanges('reasons', before.reasons, after.reasons, hidden);
  const observed = reasonChanges('observed', before.observed ?? [], after.observed ?? [], hidden);
  const obligations = obligationChanges(before.obligations, after.obligations, hidden);
  const isOther = before.outcome !== after.outcome;
  const changes = isOther
    ? // Another outcome has other reasons, and what trims a result says nothing of a call that is denied.
      [
        { kind: transition, detail: codes.join(' -> ') },
        ...observed,
        ...obligations.filter(isOfEveryCall(before, after)),
      ]
    : [...reasons, ...observed, ...obligations];
  return { transition, changes, codes: codes.join(' -> ') };
}

const OF_PASSING_CALLS = /^(mask|limit_result|limit_sessions)-/;
const isOfEveryCall =
  (...decisions: PolicyDecision[]) =>
  ({ kind }: Change): boolean =>
    !decisions.some(({ outcome }) => outcome === 'deny') || !OF_PASSING_CALLS.test(kind);

const codesOf = (reasons: readonly Reason[]): string => [...new Set(reasons.map(({ code }) => code))].sort().join(', ');

type Change = Difference['changes'][number];

function reasonChanges(
  kind: 'reasons' | 'observed',
  before: readonly Reason[],
  after: readonly Reason[],
  hidden: Hidden,
): Change[] {
  const { lost, added } = paired(before, after, (one, other, i) =>
    sameReason(one, other, `/result/${kind}/${i}`, hidden),
  );
  if (lost.length + added.length === 0) return [];
  const [was, is] = [codesOf(lost), codesOf(added)];
  if (was === is) return [{ kind: 'params', detail: was }];
  return [{ kind, detail: `${was || 'none'} -> ${is || 'none'}` }];
}

/** What of one list has no like in the other; each item is one's like once. */
function paired<T>(before: readonly T[], after: readonly T[], isLike: (one: T, other: T, index: number) => boolean) {
  const added = [...after];
  const take = (at: number): boolean => at !== -1 && added.splice(at, 1).length === 1;
  // Equal ones first: what is hidden in one is as good as any value, and must not take the like of another.
  const rest = before
    .map((one, i) => ({ one, i, text: canonicalJson(one) }))
    .filter(({ text }) => !take(added.findIndex((other) => canonicalJson(other) === text)));
  const lost = rest
    .filter(({ one, i }) => !take(added.findIndex((other) => isLike(one, other, i))))
    .map(({ one }) => one);
  return { lost, added };
}

function sameReason(one: Reason, other: Reason, at: string, hidden: Hidden): boolean {
  if (one.code !== other.code) return false;
  if (hidden.has(at) || hidden.has(`${at}/params`)) return true;
  const names = new Set([...Object.keys(one.params), ...Object.keys(other.params)]);
  return [...names].every(
    (name) => hidden.has(`${at}/params${pointerOf([name])}`) || one.params[name] === other.params[name],
  );
}

type Typed<T extends Obligation['type']> = Extract<Obligation, { type: T }>;
const isMask = (one: Obligation): one is Typed<'mask'> => one.type === 'mask';

function obligationChanges(before: readonly Obligation[], after: readonly Obligation[], hidden: Hidden): Change[] {
  const like = (one: Obligation, other: Obligation, i: number) => {
    const at = `/result/obligations/${i}`;
    if (one.type !== 'alert' || other.type !== 'alert') return sameValue(one, other, at, hidden);
    if (one.severity !== other.severity) return false;
    return one.reason && other.reason
      ? sameReason(one.reason, other.reason, `${at}/reason`, hidden)
      : one.reason === other.reason;
  };
  const { lost, added } = paired(before, after, like);
  const changes: Change[] = [];
  if ([...lost, ...added].some(isMask))
    changes.push(...maskChanges(before.filter(isMask), after.filter(isMask), lost, added));
  const [gone, fresh] = [lost, added].map((list) => list.filter((one) => !isMask(one))) as [Obligation[], Obligation[]];
  const { lost: without, added: beyond } = paired(gone, fresh, (one, other) => {
    if (nameOf(one) !== nameOf(other)) return false;
    const [was, is] = [short(one), short(other)];
    changes.push({ kind: `${one.type}-changed`, detail: was === is ? `${was}, with other values` : `${was} -> ${is}` });
    return true;
  });
  for (const one of without) changes.push({ kind: `${one.type}-lost`, detail: short(one) });
  for (const one of beyond) changes.push({ kind: `${one.type}-added`, detail: short(one) });
  return changes;
}

/** An alert is another one where another finding raised it, and so is a scope, or the limit of another list. */
function nameOf(one: Obligation): string {
  if (one.type === 'alert') return `alert ${one.reason?.code}`;
  if (one.type === 'require_scope') return `require_scope ${one.scope}`;
  return one.type === 'limit_result' ? `limit_result ${one.pointer}` : one.type;
}

function short(one: Obligation): string {
  if (one.type === 'alert') return `${one.severity}${one.reason ? ` ${one.reason.code}` : ''}`;
  const { type: _type, ...rest } = one;
  return Object.entries(rest)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : canonicalJson(value)}`)
    .join(', ');
}

/** Masks are told by what they blank: in one mask or in two, it is the same to whoever reads the result. */
function maskChanges(
  before: readonly Typed<'mask'>[],
  after: readonly Typed<'mask'>[],
  lost: readonly Obligation[],
  added: readonly Obligation[],
): Change[] {
  const blanked = (masks: readonly Obligation[]) => new Set(masks.filter(isMask).flatMap(({ pointers }) => pointers));
  const without = (masks: readonly Obligation[], others: readonly Obligation[]) =>
    [...blanked(masks)].filter((each) => !blanked(others).has(each)).sort();
  const [gone, fresh] = [without(lost, after), without(added, before)];
  const changes: Change[] = [];
  if (gone.length > 0) changes.push({ kind: 'mask-lost', detail: gone.join(', ') });
  if (fresh.length > 0) changes.push({ kind: 'mask-added', detail: fresh.join(', ') });
  const [was, is] = [required(before), required(after)];
  if (was !== is) changes.push({ kind: 'mask-changed', detail: `required ${was || 'none'} -> ${is || 'none'}` });
  return changes;
}

const required = (masks: readonly Typed<'mask'>[]): string =>
  [...new Set(masks.filter((mask) => mask.required).flatMap(({ pointers }) => pointers))].sort().join(', ');

function sameValue(one: unknown, other: unknown, at: string, hidden: Hidden): boolean {
  if (hidden.has(at)) return true;
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, i) => sameValue(item, other[i], `${at}/${i}`, hidden));
  if (!isObject(one) || !isObject(other)) return one === other;
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].every((name) => sameValue(one[name], other[name], at + pointerOf([name]), hidden));
}
