// Reads decision records, of whichever form. Version by version the form has grown, and what reads it takes all (see
// docs/audit.md): the first had pointers of their own kind, and no `masked`.

import type { DecisionInput, PolicyDecision } from '../../decision/schema.ts';
import { isObject } from '../../formats/json.ts';

/** What of a decision record is decided again. */
export interface DecisionRecord {
  id: string;
  timestamp: string;
  /** Revision of the policy that decided. */
  revision: string;
  input: DecisionInput;
  result: PolicyDecision;
  /** JSON pointers to what was left out, below the record: /input/…, /result/…. */
  erased: readonly string[];
  /** JSON pointers to what pseudonyms stand for. */
  masked: readonly string[];
}

/** A line: a decision of a policy, one that no policy made, one that makes no sense, or something else. */
export type Line =
  | { kind: 'decision'; record: DecisionRecord; text: string | undefined }
  | { kind: 'connector' | 'malformed' | 'other'; id?: string };

const DECISION = '"decision"';
const NONE: readonly string[] = [];
/** RFC 3339. Anything else is no time, and is told nowhere. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** Never throws. */
export function readLine(text: string): Line {
  // Most lines that are no decision need not be parsed: whole ones begin and end as an object does.
  if (!text.includes(DECISION))
    return { kind: text.trim() === '' || /^\{.*\}\s*$/s.test(text) ? 'other' : 'malformed' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'malformed' };
  }
  if (!isObject(value) || value.type !== 'decision') return { kind: 'other' };
  const { decision_id, decided_by, timestamp, bundles, input, result, erased, result_erased, masked } =
    value as Written;
  const id = typeof decision_id === 'string' ? decision_id : '';
  // What the connector refuses by itself is no decision of a policy, and it says nothing about one.
  if (decided_by === 'connector') return { kind: 'connector', id };
  if (!isInput(input) || !isResult(result)) return { kind: 'malformed', id };
  const revision = bundles?.sallyport?.revision;
  return {
    ...{ kind: 'decision', text: inputIn(text) },
    record: {
      ...{ id, input, result },
      timestamp: typeof timestamp === 'string' && TIME.test(timestamp) ? timestamp : '',
      revision: typeof revision === 'string' ? revision : '',
      erased:
        isEmpty(erased) && isEmpty(result_erased)
          ? NONE
          : [...pointers(erased, '/input'), ...pointers(result_erased, '/result')],
      masked: isEmpty(masked) ? NONE : pointers(masked, '/input'),
    },
  };
}

const [INPUT, RESULT] = [',"input":{', ',"result":{'];

/**
 * The text of the input in that of the record, which spares writing it anew; undefined where it is not plain which part that is. A
 * quote inside of a text is escaped, so what is looked for is the name of a member; another member of that name is no input.
 */
function inputIn(text: string): string | undefined {
  const [from, to] = [text.indexOf(INPUT), text.indexOf(RESULT)];
  const isOnly =
    from !== -1 && to > from && text.indexOf(INPUT, from + 1) === -1 && text.indexOf(RESULT, to + 1) === -1;
  return isOnly ? text.slice(from + INPUT.length - 1, to) : undefined;
}

/** What may stand in a record, whatever does. */
interface Written {
  decision_id?: unknown;
  decided_by?: unknown;
  timestamp?: unknown;
  bundles?: { sallyport?: { revision?: unknown } };
  input?: unknown;
  result?: unknown;
  erased?: unknown;
  /** In the first form, below the result. */
  result_erased?: unknown;
  masked?: unknown;
}

const isEmpty = (list: unknown): boolean => list === undefined || (Array.isArray(list) && list.length === 0);

/** The first form had pointers below the input, or the result. A list that is none leaves nothing that can be relied on. */
function pointers(list: unknown, root: '/input' | '/result'): string[] {
  if (list === undefined) return [];
  if (!Array.isArray(list) || !list.every((each) => typeof each === 'string')) return ['/input'];
  return list.map((each) => {
    const pointer = String(each);
    return /^\/(input|result)(\/|$)/.test(pointer) ? pointer : `${root}${pointer.startsWith('/') ? '' : '/'}${pointer}`;
  });
}

function isInput(input: unknown): input is DecisionInput {
  if (!isObject(input) || !isObject(input.client) || !isObject(input.tool)) return false;
  const { id, roles } = input.client;
  const isRoles = Array.isArray(roles) && roles.every((role) => typeof role === 'string');
  return typeof id === 'string' && isRoles && typeof input.tool.name === 'string';
}

function isResult(result: unknown): result is PolicyDecision {
  if (!isObject(result)) return false;
  const { outcome, reasons, obligations, observed = [] } = result;
  const isReasons = (list: unknown) =>
    Array.isArray(list) &&
    list.every((each) => isObject(each) && typeof each.code === 'string' && isObject(each.params));
  const isObligation = (each: unknown) =>
    isObject(each) &&
    typeof each.type === 'string' &&
    (each.reason === undefined || isReasons([each.reason])) &&
    (each.type !== 'mask' || (Array.isArray(each.pointers) && each.pointers.every((one) => typeof one === 'string')));
  return (
    ['allow', 'rotate', 'deny'].some((each) => each === outcome) &&
    isReasons(reasons) &&
    isReasons(observed) &&
    Array.isArray(obligations) &&
    obligations.every(isObligation)
  );
}
