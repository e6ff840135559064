// A session record as Redis has it: {"value": …, "expires": milliseconds since 1970}, the form keyv stores. The
// names in it are part of the layout of the store, which replicas of different releases share, so they change
// with the layout only and not with the names in the code.
import { isObject } from '../../formats/json.ts';
import type { SessionRecord } from '../../session/record.ts';

/** Longer than any absolute limit a policy would set: the policy ends sessions, this only bounds the store. */
export const ROW_TTL_MS = 7 * 24 * 3_600_000;

const TEXTS = ['backend', 'owner', 'id', 'epoch', 'account', 'fingerprint', 'tokenFingerprint', 'sealed'];
const NUMBERS = ['generation', 'createdAt', 'issuedAt', 'revision'];

/** The text of a row. `expires` is in milliseconds since 1970. */
export function rowOf({ sinceRevocation, ...record }: SessionRecord, expires: number): string {
  return JSON.stringify({ value: { ...record, revision: sinceRevocation }, expires });
}

/** The record in the text of a row, or undefined when there is none in it. */
export function parseRow(text: string): SessionRecord | undefined {
  try {
    return readStored((JSON.parse(text) as { value?: unknown }).value);
  } catch {
    return undefined;
  }
}

/**
 * The record in the value of a row, or undefined when it is none. Whoever can write to the store can write
 * anything there, so each field is checked before it is used.
 */
export function readStored(value: unknown): SessionRecord | undefined {
  if (!isObject(value) || !isObject(value.bound)) return undefined;
  const { bound, revision: sinceRevocation, ...rest } = value;
  const sound =
    TEXTS.every((name) => typeof value[name] === 'string') &&
    NUMBERS.every((name) => Number.isSafeInteger(value[name])) &&
    typeof bound.client_id === 'string' &&
    typeof bound.subject === 'string' &&
    (bound.key === null || typeof bound.key === 'string') &&
    isPlace(bound.ipv4) &&
    isPlace(bound.ipv6);
  return sound ? ({ ...rest, bound, sinceRevocation } as unknown as SessionRecord) : undefined;
}

const isPlace = (place: unknown): boolean =>
  place === null || (isObject(place) && typeof place.ip === 'string' && typeof place.network === 'string');
