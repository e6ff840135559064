// Runs fuzzers for a bounded time from one seed, and counts what they have sent. A failure is shrunk by fast-check and
// told with the seed that brings it back.
import fc from 'fast-check';

/** Counts by what came of an input, such as "200" or "refused". */
export type Counts = Record<string, number>;

export interface Fuzzer {
  name: string;
  /** What holds for every input. `count` notes what came of one. */
  property(count: (outcome: string) => void): fc.IAsyncProperty<unknown[]> | fc.IProperty<unknown[]>;
  /** Looked at after each round; throws for what no single input shows. */
  check?(): Promise<void>;
  close?(): Promise<void>;
}

export interface Fuzzed {
  inputs: number;
  counts: Record<string, Counts>;
  failure: string | undefined;
}

/** Inputs of one round: between rounds the fuzzers take turns, and the time is looked at. */
const ROUND = 100;
/** How long a failure is shrunk, and how long one round may take, in milliseconds. */
const LONGEST_ROUND_MS = 20_000;

export async function fuzz(fuzzers: Fuzzer[], seconds: number, seed: number): Promise<Fuzzed> {
  const result: Fuzzed = { inputs: 0, counts: {}, failure: undefined };
  const end = performance.now() + seconds * 1000;
  try {
    for (let round = 0; result.failure === undefined && performance.now() < end; round++) {
      for (const fuzzer of fuzzers) {
        result.counts[fuzzer.name] ??= {};
        const counts = result.counts[fuzzer.name] as Counts;
        const left = end - performance.now();
        if (left <= 0 || result.failure !== undefined) break;
        const ran = await fc.check(
          fuzzer.property((outcome) => {
            counts[outcome] = (counts[outcome] ?? 0) + 1;
          }) as fc.IAsyncProperty<unknown[]>,
          { seed: seed + round, numRuns: ROUND, interruptAfterTimeLimit: Math.min(left + 1, LONGEST_ROUND_MS) },
        );
        result.inputs += ran.numRuns;
        if (ran.failed && ran.counterexample !== null) {
          const why = ran.errorInstance instanceof Error ? ran.errorInstance.message : String(ran.errorInstance);
          result.failure = `${fuzzer.name}: ${why}\nseed ${seed + round}: ${fc.stringify(ran.counterexample).slice(0, 2000)}`;
        } else await fuzzer.check?.();
      }
    }
  } catch (thrown) {
    result.failure ??= String(thrown);
  } finally {
    for (const { close } of fuzzers) await close?.();
  }
  return result;
}
