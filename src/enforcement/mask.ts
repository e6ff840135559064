// What a decision orders for a result: `mask` blanks the places that JSON pointers name (RFC 6901), `limit_result` gives
// only the first items of a list. The token "*" stands for every item of a list.
import { type Json, pointerTokens } from '../formats/json.ts';
import type { Mask, ResultLimit } from './obligations.ts';

/** What stands in the place of a masked value. */
export const MASKED = '[masked]';

/** The result as it may be given, and what met nothing: a misspelt pointer is a control that is not there. */
export interface Trimmed {
  value: Json;
  /** Pointers of masks that met nothing. */
  masksAbsent: string[];
  /** Whether one of them must meet something. */
  requiredAbsent: boolean;
  /** How many items were left out. */
  itemsCut: number;
  /** Pointers of limits at which there was no list. */
  limitsAbsent: string[];
}

/** Carries out limits and masks on a copy of the value. */
export function trim(value: Json, masks: readonly Mask[], limits: readonly ResultLimit[]): Trimmed {
  const trimmed: Trimmed = { value, masksAbsent: [], requiredAbsent: false, itemsCut: 0, limitsAbsent: [] };
  for (const { pointer, items } of limits) {
    const met = change(trimmed.value, pointerTokens(pointer), (list) => {
      if (!Array.isArray(list)) return undefined;
      trimmed.itemsCut += Math.max(0, list.length - items);
      return list.slice(0, items);
    });
    trimmed.value = met.value;
    if (!met.met) trimmed.limitsAbsent.push(pointer);
  }
  for (const { pointers, required } of masks)
    for (const pointer of pointers) {
      const met = change(trimmed.value, pointerTokens(pointer), () => MASKED);
      trimmed.value = met.value;
      if (met.met) continue;
      trimmed.masksAbsent.push(pointer);
      trimmed.requiredAbsent ||= required === true;
    }
  return trimmed;
}

interface Met {
  value: Json;
  /** Whether the pointer met something. In an empty list there is nothing to meet, and nothing that was missed. */
  met: boolean;
}

/** Changes a copy of the value at each place that the pointer names. `use` answers undefined where it does not apply. */
function change(value: Json, [token, ...rest]: string[], use: (value: Json) => Json | undefined): Met {
  if (token === undefined) {
    const used = use(value);
    return { value: used ?? value, met: used !== undefined };
  }
  if (Array.isArray(value)) {
    if (token === '*') {
      const items = value.map((item) => change(item, rest, use));
      return { value: items.map((item) => item.value), met: items.length === 0 || items.some(({ met }) => met) };
    }
    const index = value.findIndex((_, i) => token === String(i));
    if (index < 0) return { value, met: value.length === 0 };
    const item = change(value[index] as Json, rest, use);
    return { value: value.with(index, item.value), met: item.met };
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return { value, met: false };
  const member = change(value[token] as Json, rest, use);
  return { value: { ...value, [token]: member.value }, met: member.met };
}

/** Blanks the named places alone. A pointer that names nothing changes nothing. */
export const mask = (value: Json, pointers: readonly string[]): Json =>
  pointers.length === 0 ? value : trim(value, [{ pointers: [...pointers] }], []).value;
