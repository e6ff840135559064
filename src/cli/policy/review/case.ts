// `sallyport policy case`: writes a case from a decision on record.
import { existsSync, writeFileSync } from 'node:fs';
import { stderr, stdin } from 'node:process';
import { createInterface } from 'node:readline/promises';
import { messageOf, OperatorError } from '../../../core/errors.ts';
import { policyPaths } from '../../../decision/data/paths.ts';
import { type DecisionInput, inputSchema } from '../../../decision/schema.ts';
import { isWellFormed, pointerTokens } from '../../../formats/json.ts';
import { basesFor } from '../../../policy/cases.ts';
import { caseText } from '../../../policy/explain/as-case.ts';
import { findDecision } from '../../../policy/explain/find.ts';
import { shownPath } from '../../../policy/explain/nearest.ts';
import type { DecisionRecord } from '../../../policy/replay/record.ts';
import { partsOf, testFolders } from '../../../policy/run/test-folders.ts';
import { progress } from '../../output.ts';
import { homeOf, type PolicyOptions, placeOf } from '../place.ts';
import { type LogOptions, verified } from './logs.ts';
import { parsedSet, withSet } from './set.ts';

export interface CaseOptions extends PolicyOptions, LogOptions {
  decision: string;
  log: string[];
  tests?: string;
  name?: string;
  set?: string[];
  output?: string;
}

/** Rejects with an OperatorError where there is no such decision, or a value is missing that nobody gives. */
export async function policyCase(options: CaseOptions): Promise<void> {
  const { decision: id, log, name, set = [], output } = options;
  if (output !== undefined && existsSync(output))
    throw new OperatorError(`${output} exists already; it is not replaced`);
  await verified(log, options);
  const record = await findDecision(id, log);
  const given = [...set, ...(await askedFor(record, set))];
  const input = inputSchema.safeParse(withSet(record.input, given));
  if (!input.success)
    throw new OperatorError(
      `the input of ${id} is no decision input any more: ${input.error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; ')}`,
    );
  if (!isWellFormed(JSON.stringify(input.data)) || /\\ud[89a-f]/i.test(JSON.stringify(input.data)))
    throw new OperatorError(`the input of ${id} has text that is no Unicode, which no policy can be given`);
  const paths = policyPaths(placeOf(options));
  const parts = partsOf(paths, testFolders(paths, homeOf(options).tests), true);
  const bases = basesFor(parts.at(-1)?.cases ?? []);
  const title = name ?? `as decided on ${record.timestamp} (${id})`;
  const written = caseText(title, input.data as DecisionInput, record.result, bases);
  if (!written) throw new OperatorError('no base is near enough: each has something that this input lacks');
  if (output === undefined) {
    process.stdout.write(written.text);
    return;
  }
  try {
    writeFileSync(output, written.text, { flag: 'wx' });
  } catch (thrown) {
    throw new OperatorError(`${output} cannot be written: ${messageOf(thrown)}`);
  }
  progress(`written: ${output}; "sallyport policy test" runs it where the cases of the policy are`);
}

/** What was erased is asked for on a terminal; elsewhere it must be given. A pseudonym is a value like any other in a case. */
async function askedFor(record: DecisionRecord, set: readonly string[]): Promise<string[]> {
  const given = new Set(set.map((each) => shownPath(parsedSet(each)[0])));
  const missing = record.erased
    .filter((pointer) => pointer.startsWith('/input/'))
    .map((pointer) => shownPath(pointerTokens(pointer).slice(1)))
    .filter((path) => !given.has(path));
  if (missing.length === 0) return [];
  if (!stdin.isTTY)
    throw new OperatorError(
      `the record no longer holds ${missing.join(', ')}; give each, as in ${missing.map((path) => `--set '${path}=…'`).join(' ')}`,
    );
  const prompt = createInterface({ input: stdin, output: stderr });
  try {
    const answers: string[] = [];
    for (const path of missing) answers.push(`${path}=${await prompt.question(`${path} (JSON, or text): `)}`);
    return answers;
  } finally {
    prompt.close();
  }
}
