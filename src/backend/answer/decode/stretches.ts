// Finds where characters of one kind stand side by side, by looking at few of them.

/** The characters of a class, by their code below 128. */
const classOf = (members: RegExp): readonly boolean[] =>
  Array.from({ length: 128 }, (_, code) => members.test(String.fromCharCode(code)));
export const OF_CODES = classOf(/[0-9a-fx\s,:;.-]/i);
export const OF_RUNS = classOf(/[A-Za-z0-9+/_-]/);
export const OF_PRINTABLE = classOf(/[\t\n\r\x20-\x7e]/);
export const OF_HEX = classOf(/[0-9a-f]/i);

/**
 * Where at least so many characters of a class stand side by side. Only every `least`-th character is looked at, until
 * one is of the class: a longer stretch cannot hide between.
 */
export function stretches(text: string, least: number, of: readonly boolean[]): [from: number, to: number][] {
  const found: [number, number][] = [];
  for (let probe = least - 1, done = 0; probe < text.length; probe += least) {
    if (!of[text.charCodeAt(probe)]) continue;
    let from = probe;
    while (from > done && of[text.charCodeAt(from - 1)]) from--;
    let to = probe + 1;
    while (to < text.length && of[text.charCodeAt(to)]) to++;
    if (to - from >= least) found.push([from, to]);
    done = to;
    probe = Math.max(probe, to);
  }
  return found;
}
