// Sequences of calls, beside the cases: what only shows over several calls (two networks, replays, limits, rotation). They are
// played through the real pipeline in memory, and every input that they bring about is decided by both evaluators.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { revisionOf } from '../../decision/bundle.ts';
import type { PolicyPaths } from '../../decision/data/paths.ts';
import { type Compiled, sha256 } from '../../decision/manifest.ts';
import { policyOf } from '../../decision/open.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import { formatProblem, parseYaml } from '../../formats/yaml/yaml.ts';
import { type Played, play, StepProblem } from '../../rehearsal/play.ts';
import { sequencesSchema, type WrittenSequence } from '../../rehearsal/written.ts';
import { type DecisionCase, settingsOf } from '../cases.ts';

/** One sequence, ready to be played. `file` and `line` say where it is written. */
export interface Sequence {
  file: string;
  line: number;
  name: string;
  settings: LoadedSettings;
  written: WrittenSequence;
  lineOf: (step: number) => number;
}

/** What was played of one. */
export interface PlayedSequence extends Sequence {
  played: Played[];
}

/** Reads the sequences of folders. Throws an OperatorError that lists the problems. */
export function loadSequences(dirs: readonly string[], settings: LoadedSettings, paths: PolicyPaths): Sequence[] {
  const problems: string[] = [];
  const found = dirs
    .filter((dir) => existsSync(dir))
    .flatMap((dir) =>
      readdirSync(dir)
        .filter((name) => /\.ya?ml$/.test(name))
        .sort()
        .flatMap((name) => {
          const file = join(dir, name);
          const parsed = parseYaml(readFileSync(file, 'utf8'), sequencesSchema, { file });
          if (!parsed.ok) {
            problems.push(...parsed.problems.map(formatProblem));
            return [];
          }
          const { value, at } = parsed;
          return value.sequences.flatMap((one, n): Sequence[] => {
            const line = at(['sequences', n]);
            const changed = settingsOf(value.settings, one.settings, settings, paths);
            if (typeof changed === 'string') {
              problems.push(`${file}:${line} settings: ${changed}`);
              return [];
            }
            const written = {
              ...one,
              clients: { ...value.clients, ...one.clients },
              tools: { ...value.tools, ...one.tools },
            };
            return [
              {
                file,
                line,
                name: one.name,
                settings: changed,
                written,
                lineOf: (step) => at(['sequences', n, 'steps', step]),
              },
            ];
          });
        }),
    );
  if (problems.length > 0) throw new OperatorError(problems.join('\n'));
  return found;
}

/** Nobody waits for it. In milliseconds. */
const BUDGET_MS = 10_000;

/** Plays them one after the other. Rejects with an OperatorError for one that cannot be played. */
export async function playSequences(
  sequences: readonly Sequence[],
  { wasm, manifest }: Compiled,
): Promise<PlayedSequence[]> {
  const module = new WebAssembly.Module(new Uint8Array(wasm));
  const played: PlayedSequence[] = [];
  for (const sequence of sequences) {
    const { settings, file, line } = sequence;
    const wasmSha256 = sha256(wasm);
    const bundle = {
      wasm,
      module,
      settings,
      manifest,
      wasmSha256,
      revision: revisionOf(wasmSha256, settings),
      cases: undefined,
      unverified: undefined,
    };
    const policy = policyOf(bundle, { budget_ms: BUDGET_MS, guard: () => ({ ms: BUDGET_MS }) });
    try {
      played.push({ ...sequence, played: await play(sequence.written, policy) });
    } catch (thrown) {
      if (!(thrown instanceof OperatorError)) throw thrown;
      const at = thrown instanceof StepProblem ? sequence.lineOf(thrown.step) : line;
      throw new OperatorError(`${file}:${at} ${thrown.message}`);
    }
  }
  return played;
}

/** The calls of a sequence as cases: each has the input that the sequence has brought about. */
export const callsOf = (sequence: PlayedSequence): DecisionCase[] =>
  comparedOf(sequence).map(({ input, outcome, reasons }) => {
    const { file, line, name, settings } = sequence;
    return { file, line, name, input, settings, expect: { outcome, reasons } };
  });

/** Of a step that is taken many times, so many at each end are asked of the slower evaluator. */
const ENDS = 3;

/** The calls of which both evaluators are asked. */
const comparedOf = ({ played }: PlayedSequence): Played[] => {
  const times = new Map<number, number>();
  for (const { step, time } of played) times.set(step, Math.max(time, times.get(step) ?? 0));
  return played.filter(({ step, time }) => time <= ENDS || time > (times.get(step) ?? 0) - ENDS);
};
