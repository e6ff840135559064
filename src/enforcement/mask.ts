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

/** The value as it came, for which nothing is ordered. */
export const untrimmed = (value: Json): Trimmed => ({
  value,
  masksAbsent: [],
  requiredAbsent: false,
  itemsCut: 0,
  limitsAbsent: [],
});

/**
 * Carries out limits and masks on a copy of the value. Whether a mask meets something is asked of the value as it came: an
 * item that a limit leaves out, and a place that another mask has blanked, were there.
 */
export function trim(value: Json, masks: readonly Mask[], limits: readonly ResultLimit[]): Trimmed {
  const trimmed = untrimmed(value);
  for (const { pointers, required = false } of masks)
    for (const pointer of pointers) {
      if (meets(value, pointerTokens(pointer), required)) continue;
      trimmed.masksAbsent.push(pointer);
      trimmed.requiredAbsent ||= required;
    }
  for (const { pointer, items } of limits) {
    const met = { lists: 0, others: 0 };
    trimmed.value = change(trimmed.value, pointerTokens(pointer), (list) => {
      if (!Array.isArray(list)) {
        met.others += 1;
        return list;
      }
      met.lists += 1;
      trimmed.itemsCut += Math.max(0, list.length - items);
      return list.slice(0, items);
    });
    const absent = met.others > 0 || !meets(value, pointerTokens(pointer), false);
    if (met.lists === 0 && absent) trimmed.limitsAbsent.push(pointer);
  }
  for (const { pointers } of masks)
    for (const pointer of pointers) trimmed.value = change(trimmed.value, pointerTokens(pointer), () => MASKED);
  return trimmed;
}

/**
 * Whether a pointer meets something; with `all`, in every item of each list that "*" stands for. In an empty list there is
 * nothing to meet, and nothing that was missed.
 */
function meets(value: Json, [token, ...rest]: string[], all: boolean): boolean {
  if (token === undefined) return true;
  if (Array.isArray(value)) {
    if (token === '*') {
      if (value.length === 0) return true;
      return all ? value.every((item) => meets(item, rest, all)) : value.some((item) => meets(item, rest, all));
    }
    const index = indexOf(value, token);
    return index === undefined ? false : meets(value[index] as Json, rest, all);
  }
  return isTable(value) && Object.hasOwn(value, token) && meets(value[token] as Json, rest, all);
}

/** Changes a copy of the value at each place that the pointer names. */
function change(value: Json, [token, ...rest]: string[], use: (value: Json) => Json): Json {
  if (token === undefined) return use(value);
  if (Array.isArray(value)) {
    if (token === '*') return value.map((item) => change(item, rest, use));
    const index = indexOf(value, token);
    return index === undefined ? value : value.with(index, change(value[index] as Json, rest, use));
  }
  if (!isTable(value) || !Object.hasOwn(value, token)) return value;
  return { ...value, [token]: change(value[token] as Json, rest, use) };
}

/** The index that a token names; undefined for one beyond the list or for no index. */
function indexOf(list: readonly Json[], token: string): number | undefined {
  const index = /^(0|[1-9]\d*)$/.test(token) ? Number(token) : list.length;
  return index < list.length ? index : undefined;
}

const isTable = (value: Json): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Blanks the named places alone. A pointer that names nothing changes nothing. */
export const mask = (value: Json, pointers: readonly string[]): Json =>
  pointers.length === 0 ? value : trim(value, [{ pointers: [...pointers] }], []).value;
