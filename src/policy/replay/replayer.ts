// Decides records again, one after the other, and compares.
import type { Evaluation, Evaluator } from '../../decision/evaluator.ts';
import type { PolicyDecision } from '../../decision/schema.ts';
import { type Askable, evaluatorOf } from '../versions/load.ts';
import { compareDecisions, type Difference } from './compare.ts';
import { missingFor } from './decidable.ts';
import { type DecisionRecord, readLine } from './record.ts';
import { add, newTally, note, noteDifference, type Tally } from './tally.ts';

/** What is compared: what is on record with `policy`, or `before` with `policy`. */
export interface Replaying {
  policy: Askable;
  before?: Askable | undefined;
}

const NEWLINE = 0x0a;
/** Pairs of decisions whose comparison is remembered: most calls are decided as one before. */
const MOST_KNOWN = 2000;

/** Takes blocks of a log. The policies are opened once, and asked for each record. */
export class Replayer {
  readonly #sides: Side[];
  readonly #hasBefore: boolean;
  #rest: Buffer[] = [];
  #tally = newTally();

  /** Throws an OperatorError for a policy that cannot be asked. */
  constructor({ policy, before }: Replaying) {
    this.#hasBefore = before !== undefined;
    this.#sides = [...(before ? [before] : []), policy].map((each) => new Side(each));
  }

  feed(block: Buffer): void {
    let at = 0;
    for (;;) {
      const end = block.indexOf(NEWLINE, at);
      if (end === -1) break;
      if (this.#rest.length > 0) {
        this.#line(Buffer.concat([...this.#rest, block.subarray(at, end)]).toString('utf8'));
        this.#rest = [];
      } else this.#line(block.toString('utf8', at, end));
      at = end + 1;
    }
    if (at < block.length) this.#rest.push(Buffer.from(block.subarray(at)));
  }

  /** There is no more of this part. */
  end(): Tally {
    if (this.#rest.length > 0) this.#line(Buffer.concat(this.#rest).toString('utf8'));
    this.#rest = [];
    const tally = this.#tally;
    this.#tally = newTally();
    return tally;
  }

  #line(text: string): void {
    const tally = this.#tally;
    tally.lines += 1;
    const line = readLine(text);
    if (line.kind === 'decision') this.#record(line.record);
    else if (line.kind === 'connector') tally.not_decided += 1;
    else if (line.kind === 'malformed') tally.malformed += 1;
  }

  #record(record: DecisionRecord): void {
    const tally = this.#tally;
    const { id, input, timestamp, revision } = record;
    tally.decisions += 1;
    add(tally.policies, revision, 1);
    if (tally.from === '' || timestamp < tally.from) tally.from = timestamp;
    if (timestamp > tally.to) tally.to = timestamp;
    const missing = this.#sides.map((side) => side.missing(record)).find((path) => path !== undefined);
    if (missing !== undefined) return note(tally.undecidable, id, input, missing);
    const text = JSON.stringify(input);
    const decided = this.#sides.map((side) => side.decide(record, text, tally));
    const last = decided.at(-1) as Decided;
    const difference = this.#hasBefore
      ? (this.#sides.at(-1) as Side).between((decided[0] as Decided).decision, last.decision)
      : last.fromRecord;
    noteDifference(tally, id, input, difference);
  }
}

interface Decided {
  decision: PolicyDecision;
  /** How it differs from what is on record. */
  fromRecord: Difference;
}

/** One of the policies. */
class Side {
  readonly #askable: Askable;
  readonly #evaluator: Evaluator;
  readonly missing: ReturnType<typeof missingFor>;
  readonly #known = new Map<string, Map<PolicyDecision, Difference>>();
  #pairs = 0;

  constructor(askable: Askable) {
    this.#askable = askable;
    this.#evaluator = evaluatorOf(askable);
    this.missing = missingFor(askable.reads);
  }

  decide(record: DecisionRecord, text: string, tally: Tally): Decided {
    const { id, input, result, revision, erased, masked } = record;
    const evaluation = this.#evaluator.evaluate(input, text);
    if (!evaluation.ok) note(tally.failed, id, input, evaluation.code);
    const decision = decisionOf(evaluation);
    const hidden = [...erased, ...masked].filter((pointer) => pointer.startsWith('/result'));
    const key = JSON.stringify(hidden.length === 0 ? result : [result, hidden]);
    const fromRecord = this.#remembered(key, decision, () => compareDecisions(result, decision, new Set(hidden)));
    if (revision === this.#askable.revision && fromRecord.changes.length > 0)
      note(tally.faults, id, input, `${fromRecord.transition} ${fromRecord.codes}`);
    return { decision, fromRecord };
  }

  between(before: PolicyDecision, after: PolicyDecision): Difference {
    return this.#remembered(JSON.stringify(before), after, () => compareDecisions(before, after));
  }

  #remembered(key: string, after: PolicyDecision, compare: () => Difference): Difference {
    const known = this.#known.get(key)?.get(after);
    if (known) return known;
    const found = compare();
    if (this.#pairs++ >= MOST_KNOWN) {
      this.#known.clear();
      this.#pairs = 1;
    }
    const of = this.#known.get(key) ?? new Map<PolicyDecision, Difference>();
    this.#known.set(key, of.set(after, found));
    return found;
  }
}

/** Where the policy gives none, the connector refuses the call with the code of that. */
const decisionOf = (evaluation: Evaluation): PolicyDecision =>
  evaluation.ok
    ? evaluation.decision
    : { outcome: 'deny', reasons: [{ code: evaluation.code, params: {} }], obligations: [], observed: [] };
