// `sallyport policy explain`: why one call was decided as it was, or would be.
import { OperatorError } from '../../../core/errors.ts';
import type { DecisionInput } from '../../../decision/schema.ts';
import { pointerTokens } from '../../../formats/json.ts';
import { explain } from '../../../policy/explain/explain.ts';
import { findDecision, readInput } from '../../../policy/explain/find.ts';
import { shownPath } from '../../../policy/explain/nearest.ts';
import { explanationBlocks } from '../../../policy/explain/report.ts';
import { findOpa } from '../../../policy/opa.ts';
import { compareDecisions } from '../../../policy/replay/compare.ts';
import { missingFor } from '../../../policy/replay/decidable.ts';
import type { DecisionRecord } from '../../../policy/replay/record.ts';
import { type Line, toned } from '../../../policy/report/document/document.ts';
import { loadVersion } from '../../../policy/versions/load.ts';
import { withVersion } from '../../../policy/versions/version.ts';
import { progress } from '../../output.ts';
import { homeOf, type PolicyOptions } from '../place.ts';
import { type LogOptions, verified } from './logs.ts';
import { parsedSet, withSet } from './set.ts';
import { type ShowOptions, show } from './show.ts';

export interface ExplainOptions extends PolicyOptions, LogOptions, ShowOptions {
  decision?: string;
  input?: string;
  policy?: string;
  set?: string[];
}

/** Rejects with an OperatorError where there is no such decision, or its record no longer holds what the policy may read. */
export async function policyExplain(options: ExplainOptions): Promise<void> {
  const { decision: id, log = [], input: file, policy, set = [] } = options;
  if ((id === undefined) === (file === undefined)) throw new OperatorError('give --decision with --log, or --input');
  if (id !== undefined && log.length === 0)
    throw new OperatorError('--decision needs --log: the files it is looked for in');
  if (id !== undefined) await verified(log, options);
  const record = id === undefined ? undefined : await findDecision(id, log);
  const input = withSet(record?.input ?? readInput(file as string), set) as DecisionInput;
  const opa = await findOpa({ progress, build: false });
  const found = await withVersion(policy, homeOf(options), async (version) => {
    const loaded = await loadVersion(version, opa);
    if (record) refuseUndecidable(record, missingFor(loaded.reads), set);
    return { explanation: await explain(loaded, input, opa), revision: loaded.revision };
  });
  const { explanation, revision } = found;
  const told = record ? toldOf(record, explanation.decision, revision, set.length > 0) : [];
  const subject = id ?? `this input (${file})`;
  const recorded = record && {
    revision: record.revision,
    result: record.result,
    same_policy: record.revision === revision,
  };
  show(
    `Why ${subject}`,
    explanationBlocks(explanation, subject, told),
    { ...explanation, recorded: recorded ?? null, input },
    options,
  );
}

function refuseUndecidable(
  record: DecisionRecord,
  missing: ReturnType<typeof missingFor>,
  set: readonly string[],
): void {
  const given = new Set(set.map((each) => shownPath(parsedSet(each)[0])));
  const isGiven = (pointer: string) => given.has(shownPath(pointerTokens(pointer).slice(1)));
  const left = {
    input: record.input,
    erased: record.erased.filter((pointer) => !isGiven(pointer)),
    masked: record.masked.filter((pointer) => !isGiven(pointer)),
  };
  const path = missing(left);
  if (path !== undefined)
    throw new OperatorError(
      `the record of ${record.id} no longer holds ${path || 'the input'}, which the policy may read, so nobody can say how it decides; give the value, as in --set '${path}=…'`,
    );
}

function toldOf(
  record: DecisionRecord,
  decision: Parameters<typeof compareDecisions>[0],
  revision: string,
  isSet: boolean,
): Line[] {
  const hidden = new Set([...record.erased, ...record.masked]);
  const { changes } = compareDecisions(record.result, decision, hidden);
  const recorded = `${record.result.outcome} (${record.result.reasons.map(({ code }) => code).join(', ')})`;
  const lines: Line[] = [];
  if (record.revision !== revision)
    lines.push([
      toned('warn', `decided on ${record.timestamp} by another policy, revision ${record.revision}: ${recorded}`),
    ]);
  else lines.push(`decided on ${record.timestamp} by this very policy: ${recorded}`);
  if (record.revision === revision && changes.length > 0 && !isSet)
    lines.push(
      toned(
        'bad',
        'That is not how it decides: the record was changed, or the policy is not the one whose revision it has.',
      ),
    );
  return lines;
}
