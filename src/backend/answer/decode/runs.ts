// Decodes base64 and hex, wherever it begins.
import { OF_HEX, OF_RUNS, stretches } from './stretches.ts';

/** The shortest run of characters that is taken for base64 or hex: twelve bytes of base64, eight of hex. */
const RUN = 16;

/**
 * Runs of base64 or hex characters. Those that only a line break parts are one: encoders break lines, mostly after 64
 * or 76 characters.
 */
export function runsOf(text: string): string[] {
  const runs: string[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const [from, to] of stretches(text, RUN, OF_RUNS)) {
    const run = text.slice(from, to);
    if (from - last <= 4 && /^\s*[\r\n]\s*$/.test(text.slice(last, from))) runs[runs.length - 1] += run;
    else runs.push(run);
    last = to;
    // What follows a line break may be the short end of the same run.
    if (text.charCodeAt(to) > 0x0d) continue;
    const rest = /^\s{1,3}([A-Za-z0-9+/_-]{1,15})(?![A-Za-z0-9+/_-])/.exec(text.slice(to, to + 20));
    if (rest?.[1]) runs[runs.length - 1] += rest[1];
  }
  return runs;
}

/**
 * The bytes of the runs: as base64 from each of the first four characters on, because a word or a slash before it is of
 * the same characters; and as hex from either of the first two.
 */
export function* decodedRuns(runs: readonly string[]): Generator<string> {
  // Base64 of text has capital letters at least in every fourth place; a path or a long word has none.
  const capital = runs.filter((run) => /[A-Z]/.test(run));
  for (let skip = 0; skip < 4 && capital.length > 0; skip++)
    yield capital.map((run) => Buffer.from(skip === 0 ? run : run.slice(skip), 'base64').toString('latin1')).join('\n');
  const digits = runs.flatMap((run) => stretches(run, RUN, OF_HEX).map(([from, to]) => run.slice(from, to)));
  for (let skip = 0; skip < 2 && digits.length > 0; skip++)
    yield digits.map((text) => Buffer.from(text.slice(skip), 'hex').toString('latin1')).join('\n');
}
