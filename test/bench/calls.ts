// What a governed call costs beside the same call without Sallyport: the rows that the whole benchmark is about.
import { conversation, type Length, load } from './load.ts';
import { cpuOf, type Governed } from './processes.ts';
import { median, type Row, rounded, type Show } from './row.ts';

/** A server of which the CPU time can be read. */
interface Measured {
  url: string;
  pid: number;
}

export const PASSTHROUGH = '(b) Koa -> undici, ungoverned';

async function measured(name: string, server: Measured, concurrency: number, headers: object, length: Length) {
  const before = cpuOf(server.pid);
  const row = await load(name, server.url, concurrency, headers as Record<string, string>, length);
  return { ...row, cpu_us_per_call: rounded((cpuOf(server.pid) - before) / row.calls, 0) };
}

export interface Pairs {
  name: string;
  passthrough: Measured;
  governed: Governed;
  rounds: number;
  length: Length;
}

/** Measures pass-through and connector alternately, so that a slow minute of the machine affects both. */
export async function callRows(
  { name, passthrough, governed, rounds, length }: Pairs,
  concurrency: number,
  show: Show,
) {
  const pairs: { baseline: Row; row: Row; cpu: number; calls: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    const baseline = await measured(PASSTHROUGH, passthrough, concurrency, {}, length);
    const headers = await conversation(governed.url, governed.keys.bench);
    const row = await measured(name, governed, concurrency, headers, length);
    const cpu = row.cpu_us_per_call / baseline.cpu_us_per_call;
    pairs.push({ baseline, row, cpu, calls: row.per_second / baseline.per_second });
  }
  // Each ratio is the median of its own: that of the calls swings more.
  const { baseline, row, cpu } = median(pairs, (pair) => pair.cpu);
  show({ ...baseline, ratio_to_passthrough: 1 });
  show({
    ...row,
    ratio_to_passthrough: rounded(median(pairs, ({ calls }) => calls).calls),
    cpu_ratio_to_passthrough: rounded(cpu, 2),
  });
}

/** What a rotation costs, once in so many calls: CPU time of a call with and without. */
export async function rotationRows(
  {
    governed,
    rotating,
    each,
    rounds,
    length,
  }: { governed: Governed; rotating: Governed; each: number } & Pick<Pairs, 'rounds' | 'length'>,
  show: Show,
): Promise<void> {
  const pairs: { without: Row; with: Row; ratio: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    const run = async (name: string, server: Governed) =>
      measured(name, server, 16, await conversation(server.url, server.keys.bench), length);
    const without = await run('no rotation', governed);
    const other = await run(`a rotation every ${each} calls`, rotating);
    pairs.push({ without, with: other, ratio: other.cpu_us_per_call / without.cpu_us_per_call });
  }
  const { without, with: other, ratio } = median(pairs, (pair) => pair.ratio);
  show(without);
  show({ ...other, ratio: rounded(ratio, 2), compared_to: without.name });
}
