// A decision on record as a case, so that what happened once is tested from then on.
import type { DecisionInput } from '../../decision/schema.ts';
import { canonicalJson, isObject, type JsonObject } from '../../formats/json.ts';
import { toPlainYaml } from '../../formats/yaml/yaml.ts';
import type { DecisionRecord } from '../replay/record.ts';

export interface CaseText {
  text: string;
  base: string;
}

/**
 * The text of a file with one case. It changes the base that is nearest to the input; undefined where none is near enough, because
 * each has something that the input lacks, and a case cannot take anything away.
 */
export function caseText(
  name: string,
  input: DecisionInput,
  expect: Pick<DecisionRecord['result'], 'outcome' | 'reasons' | 'observed' | 'obligations'>,
  bases: Readonly<Record<string, DecisionInput>>,
): CaseText | undefined {
  const changes = Object.entries(bases).flatMap(([base, from]) => {
    const change = changed(from, input);
    return change === IMPOSSIBLE ? [] : [{ base, change: (change ?? {}) as JsonObject }];
  });
  const [nearest] = changes.sort((a, b) => canonicalJson(a.change).length - canonicalJson(b.change).length);
  if (!nearest) return undefined;
  const codes = (list: readonly { code: string }[] = []) => [...new Set(list.map(({ code }) => code))].sort();
  const observed = codes(expect.observed);
  const expected = {
    ...{ outcome: expect.outcome, reasons: codes(expect.reasons) },
    ...(observed.length > 0 && { observed }),
    obligations: expect.obligations.map(({ type }) => type).sort(),
  };
  const { base, change } = nearest;
  return { base, text: toPlainYaml({ cases: [{ name, base, input: change, expect: expected }] }) };
}

const IMPOSSIBLE = Symbol('impossible');

/** What merged into `from` gives `to`; undefined for nothing. */
function changed(from: unknown, to: unknown): unknown {
  if (canonicalJson(from) === canonicalJson(to)) return undefined;
  if (!isObject(from) || !isObject(to)) return to;
  if (Object.keys(from).some((key) => !Object.hasOwn(to, key))) return IMPOSSIBLE;
  const change: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(to)) {
    const inner = Object.hasOwn(from, key) ? changed(from[key], value) : value;
    if (inner === IMPOSSIBLE) return IMPOSSIBLE;
    if (inner !== undefined) Object.defineProperty(change, key, { value: inner, enumerable: true });
  }
  return change;
}
