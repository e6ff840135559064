// A session record as Redis has it: a first line with what the scripts need, then the record as JSON. Both parts are
// of layout 2; its number stands in the names of the keys too, so that rows of another layout are never touched.
import { isObject } from '../../../formats/json.ts';
import type { SessionRecord } from '../../../session/record.ts';

/** Longer than any absolute limit a policy would set: the policy ends sessions, this only bounds the store. */
export const ROW_TTL_MS = 7 * 24 * 3_600_000;

const TEXTS = ['backend', 'owner', 'id', 'epoch', 'issuer', 'account', 'fingerprint', 'tokenFingerprint', 'sealed'];
const NUMBERS = ['generation', 'login', 'serial', 'createdAt', 'issuedAt', 'sinceRevocation'];

const headOf = ({ id, generation, login, issuedAt, epoch, tokenFingerprint }: SessionRecord): string =>
  `2 ${id} ${generation} ${login} ${issuedAt} ${epoch} ${tokenFingerprint}`;

/** The text of a row. */
export const rowOf = (record: SessionRecord): string => `${headOf(record)}\n${JSON.stringify(record)}`;

/**
 * The record in the text of a row, or undefined when there is none in it. Whoever can write to the store can write
 * anything there, so each field is checked before it is used, and the first line must say what the record says: the
 * scripts act on that line, and the seal covers the record.
 */
export function parseRow(text: string): SessionRecord | undefined {
  const end = text.indexOf('\n');
  try {
    const value: unknown = JSON.parse(text.slice(end + 1));
    if (!isRecord(value)) return undefined;
    return headOf(value) === text.slice(0, Math.max(0, end)) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is SessionRecord {
  if (!isObject(value) || !isObject(value.bound)) return false;
  const { bound } = value;
  return (
    TEXTS.every((name) => typeof value[name] === 'string') &&
    NUMBERS.every((name) => Number.isSafeInteger(value[name])) &&
    typeof bound.client_id === 'string' &&
    typeof bound.subject === 'string' &&
    (bound.key === null || typeof bound.key === 'string') &&
    isPlace(bound.ipv4) &&
    isPlace(bound.ipv6) &&
    (bound.networks === undefined ||
      (Array.isArray(bound.networks) && bound.networks.every((network) => typeof network === 'string')))
  );
}

const isPlace = (place: unknown): boolean =>
  place === null || (isObject(place) && typeof place.ip === 'string' && typeof place.network === 'string');
