// One line of the benchmark's table and of its JSON, and how rows are shown and compared.
import { readFileSync } from 'node:fs';

/** One row. Times are in microseconds, memory in bytes. What a row does not measure is 0 or left out. */
export interface Row {
  name: string;
  concurrency: number;
  p50_us: number;
  p99_us: number;
  per_second: number;
  /** Calls per second divided by those of the pass-through at the same concurrency, in the same minute. */
  ratio_to_passthrough: number | null;
  /** Calls that were made. */
  calls: number;
  /** CPU time of all connector processes, for each call: the figure that holds still on a machine that others use. */
  cpu_us_per_call?: number;
  /** The CPU time divided by that of the pass-through in the same minute. */
  cpu_ratio_to_passthrough?: number;
  /** Memory for each session or client, and of an idle process. */
  heap_bytes?: number;
  rss_bytes?: number;
  /** The p50 (or the CPU time, where that is measured) divided by that of the row named in `compared_to`. */
  ratio?: number;
  compared_to?: string;
}

/** A row of which nothing has been measured yet. */
export const row = (name: string, more: Partial<Row> = {}): Row => ({
  name,
  concurrency: 1,
  p50_us: 0,
  p99_us: 0,
  per_second: 0,
  ratio_to_passthrough: null,
  calls: 0,
  ...more,
});

export type Show = (row: Row) => void;

export const quantile = (sorted: number[], q: number): number =>
  rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0, 1);

export const rounded = (value: number, digits = 3) => Math.round(value * 10 ** digits) / 10 ** digits;

export function median<T>(list: readonly T[], of: (item: T) => number): T {
  const sorted = [...list].sort((x, y) => of(x) - of(y));
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error('--rounds must be at least 1');
  return middle;
}

const NAME = 52;
export const HEADING = [
  'row'.padEnd(NAME),
  'conc'.padStart(4),
  'p50 µs'.padStart(10),
  'p99 µs'.padStart(10),
  'per s'.padStart(9),
  '÷ (b)'.padStart(8),
].join(' ');

export const lineOf = (one: Row, change = ''): string =>
  [
    one.name.padEnd(NAME),
    String(one.concurrency).padStart(4),
    String(one.p50_us).padStart(10),
    String(one.p99_us).padStart(10),
    String(one.per_second).padStart(9),
    (one.ratio_to_passthrough?.toFixed(2) ?? '').padStart(8),
    one.cpu_us_per_call === undefined ? '' : `  CPU ${one.cpu_us_per_call} µs a call`,
    one.cpu_ratio_to_passthrough === undefined ? '' : `= ${one.cpu_ratio_to_passthrough.toFixed(2)} × (b)`,
    one.heap_bytes === undefined ? '' : `  heap ${one.heap_bytes} B`,
    one.rss_bytes === undefined ? '' : `  RSS ${one.rss_bytes} B`,
    one.ratio === undefined ? '' : `  ${one.ratio.toFixed(2)} of "${one.compared_to}"`,
    change,
  ]
    .join(' ')
    .trimEnd();

/**
 * Makes a function that says how a row differs from the row of the same name in an earlier run. The figure compared is the
 * ratio where there is one, because the machine may have been another; else the CPU time, memory or p50.
 */
export function against(file: string | undefined): (row: Row) => string {
  if (file === undefined) return () => '';
  const before = JSON.parse(readFileSync(file, 'utf8')) as Row[];
  const taken = new Set<Row>();
  return (now) => {
    const then = before.find(
      (each) => each.name === now.name && each.concurrency === now.concurrency && !taken.has(each),
    );
    if (!then) return '  (new)';
    taken.add(then);
    for (const figure of FIGURES) {
      const [a, b] = [then[figure], now[figure]];
      if (typeof a !== 'number' || typeof b !== 'number' || a === 0) continue;
      const percent = rounded((b / a - 1) * 100, 1);
      return `  ${figure} ${a} → ${b} (${percent > 0 ? '+' : ''}${percent} %)`;
    }
    return '';
  };
}

const FIGURES = [
  'cpu_ratio_to_passthrough',
  'ratio_to_passthrough',
  'ratio',
  'cpu_us_per_call',
  'heap_bytes',
  'rss_bytes',
  'p50_us',
] as const;
