// Decides records again, one after the other, and compares.
import type { Evaluation, Evaluator } from '../../decision/evaluator.ts';
import type { PolicyDecision } from '../../decision/schema.ts';
import { type Askable, evaluatorOf } from '../versions/ask.ts';
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
/** No record is longer, in bytes: the arguments of a call have a limit far below. */
const LONGEST_LINE = 32 * 1024 * 1024;
/** Pairs of decisions whose comparison is remembered: most calls are decided as one before. */
const MOST_KNOWN = 2000;

/** Takes blocks of a log. The policies are opened once, and asked for each record. */
export class Replayer {
  readonly #sides: Side[];
  readonly #hasBefore: boolean;
  #rest: Buffer[] = [];
  #kept = 0;
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
      this.#take(block.subarray(at, end));
      at = end + 1;
    }
    if (at < block.length) this.#keep(Buffer.from(block.subarray(at)));
  }

  /** There is no more of this part. */
  end(): Tally {
    if (this.#kept > 0) this.#take(Buffer.alloc(0));
    const tally = this.#tally;
    this.#tally = newTally();
    return tally;
  }

  /** The beginning of a line. What is too long for a record is not kept. */
  #keep(part: Buffer): void {
    this.#kept += part.length;
    if (this.#kept > LONGEST_LINE) this.#rest = [];
    else this.#rest.push(part);
  }

  #take(end: Buffer): void {
    const isTooLong = this.#kept + end.length > LONGEST_LINE;
    const line = this.#rest.length === 0 ? end : Buffer.concat([...this.#rest, end]);
    this.#rest = [];
    this.#kept = 0;
    this.#tally.lines += 1;
    if (isTooLong) this.#tally.malformed += 1;
    else this.#line(line.toString('utf8'));
  }

  #line(text: string): void {
    const tally = this.#tally;
    const line = readLine(text);
    if (line.kind === 'connector') tally.not_decided += 1;
    else if (line.kind === 'malformed') tally.malformed += 1;
    else if (line.kind === 'decision' && !this.#decided(line.record, line.text)) tally.malformed += 1;
  }

  /** False for what no connector can have written: it nests too deeply, or has something for a value that is none. */
  #decided(record: DecisionRecord, written: string | undefined): boolean {
    const missing = this.#sides.map((side) => side.missing(record)).find((path) => path !== undefined);
    let decided: Decided[];
    try {
      const text = written ?? JSON.stringify(record.input);
      decided = missing === undefined ? this.#sides.map((side) => side.decide(record, text)) : [];
    } catch {
      return false;
    }
    this.#note(record, missing, decided);
    return true;
  }

  #note({ id, input, timestamp, revision }: DecisionRecord, missing: string | undefined, decided: Decided[]): void {
    const tally = this.#tally;
    tally.decisions += 1;
    add(tally.policies, revision, 1);
    if (timestamp !== '' && (tally.from === '' || timestamp < tally.from)) tally.from = timestamp;
    if (timestamp > tally.to) tally.to = timestamp;
    if (missing !== undefined) return note(tally.undecidable, id, input, missing);
    const last = decided.at(-1) as Decided;
    const failed = decided.find((each) => each.failed !== undefined);
    if (failed) note(tally.failed, id, input, failed.failed as string);
    const fault = decided.find((each) => each.isFault);
    if (fault) note(tally.faults, id, input, `${fault.fromRecord.transition} ${fault.fromRecord.codes}`);
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
  /** Why there was no decision; undefined where there was. */
  failed: string | undefined;
  /** This very policy had decided otherwise. */
  isFault: boolean;
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

  decide(record: DecisionRecord, text: string): Decided {
    const { input, result, revision, erased, masked } = record;
    const evaluation = this.#evaluator.evaluate(input, text);
    const decision = decisionOf(evaluation);
    const hidden = [...erased, ...masked].filter((pointer) => pointer.startsWith('/result'));
    const key = JSON.stringify(hidden.length === 0 ? result : [result, hidden]);
    const fromRecord = this.#remembered(key, decision, () => compareDecisions(result, decision, new Set(hidden)));
    const isFault = revision === this.#askable.revision && fromRecord.changes.length > 0;
    return { decision, fromRecord, failed: evaluation.ok ? undefined : evaluation.code, isFault };
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
