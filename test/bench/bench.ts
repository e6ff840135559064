// `npm run bench`: what governing a call costs, as a ratio against the same call without Sallyport,
// measured in the same run with the same load client. Every server has a process of its own.
import type { EventEmitter } from 'node:events';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { loadBundle } from '../../src/decision/bundle.ts';
import { createEvaluator } from '../../src/decision/evaluator.ts';
import { loadCases } from '../../src/policy/cases.ts';
import { recompileWith } from '../../src/policy/recompile.ts';
import { partRows } from './parts.ts';
import { governedServer, PASSWORD, start, stopAll } from './processes.ts';
import { redisRows } from './redis.ts';

/** One line of the table and of the JSON. */
export interface Row {
  name: string;
  concurrency: number;
  p50_us: number;
  p99_us: number;
  per_second: number;
  /** Calls per second divided by those of the pass-through at the same concurrency. */
  ratio_to_passthrough: number | null;
  /** Calls that were made. */
  calls: number;
  /** CPU time of all connector processes, for each call. */
  cpu_us_per_call?: number;
  /** The p50 (or the CPU time, where that is measured) divided by that of the row named in `compared_to`. */
  ratio?: number;
  compared_to?: string;
}

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '8000' },
    sessions: { type: 'string', default: '100000' },
    history: { type: 'string', default: '1000000' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (options.help) {
  console.log(
    'Usage: npm run bench -- [--seconds N] [--rounds N] [--warm-up CALLS] [--sessions N] [--history CALLS] [--json FILE]',
  );
  process.exit(0);
}
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const WARM_UP = Number(options['warm-up']);

const server = (role: string, ...args: string[]) =>
  start(['--import', 'tsx', join(PACKAGE_ROOT, 'test/bench/server.ts'), role, PASSWORD, ...args]);

const quantile = (sorted: number[], q: number): number =>
  Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0) * 10) / 10;

/** Measures, in this process, the evaluation of the default policy with an input of about 1 KB. */
async function evaluate(): Promise<Row> {
  const dir = join(PACKAGE_ROOT, 'policies');
  const bundle = await loadBundle(dir, recompileWith());
  const evaluator = createEvaluator({
    module: bundle.module,
    data: { settings: bundle.settings },
    budgetMs: 1000,
  });
  const input = loadCases(join(PACKAGE_ROOT, 'policy-tests/cases'), bundle.settings)[0]?.input;
  if (!input) throw new Error('no case to evaluate');
  const padded = {
    ...input,
    client: { ...input.client, user_agent: 'x'.repeat(Math.max(0, 1024 - JSON.stringify(input).length)) },
  };
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const began = process.hrtime.bigint();
    const result = evaluator.evaluate(padded);
    times.push(Number(process.hrtime.bigint() - began) / 1000);
    if (!result.ok || result.decision.outcome !== 'allow') throw new Error('the benchmark call is not allowed');
  }
  const warm = times.slice(times.length / 5).sort((a, b) => a - b);
  const total = warm.reduce((sum, t) => sum + t, 0);
  return {
    name: 'evaluate, default policy, 1 KB input',
    concurrency: 1,
    p50_us: quantile(warm, 0.5),
    p99_us: quantile(warm, 0.99),
    per_second: Math.round((warm.length / total) * 1e6),
    ratio_to_passthrough: null,
    calls: times.length,
  };
}

let nextId = 1;

async function load(
  name: string,
  url: string,
  concurrency: number,
  headers: Record<string, string>,
  length: { duration: number } | { amount: number },
): Promise<Row> {
  const times: number[] = [];
  let wrong = 0;
  const instance = autocannon({
    url,
    connections: concurrency,
    ...length,
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    method: 'POST',
    requests: [
      {
        // Every call has its own JSON-RPC id, because the policy denies a repeated id as a replay.
        setupRequest: (request) => ({
          ...request,
          body: JSON.stringify({
            jsonrpc: '2.0',
            id: nextId++,
            method: 'tools/call',
            params: { name: 'stock_get', arguments: { sku: 'A-1' } },
          }),
        }),
        onResponse: (status, body) => {
          if (status !== 200 || !body.includes('A-1') || body.includes('isError')) wrong += 1;
        },
      },
    ],
  });
  // autocannon returns a promise that is also an event emitter, which its types do not say.
  (instance as unknown as EventEmitter).on('response', (_client, _status, _bytes, ms: number) => times.push(ms * 1000));
  const result = await instance;
  if (wrong > 0 || result.errors > 0) throw new Error(`${name}: ${wrong} wrong answers, ${result.errors} errors`);
  times.sort((a, b) => a - b);
  return {
    name,
    concurrency,
    p50_us: quantile(times, 0.5),
    p99_us: quantile(times, 0.99),
    per_second: Math.round(times.length / result.duration),
    ratio_to_passthrough: null,
    calls: times.length,
  };
}

/** A conversation of its own for each run, since JSON-RPC ids must be new in it. */
async function conversation(url: string, key = ''): Promise<Record<string, string>> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: 'application/json' };
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
  });
  const answer = await fetch(url, { method: 'POST', headers, body });
  await answer.text();
  return { authorization: headers.authorization, 'mcp-session-id': answer.headers.get('mcp-session-id') ?? '' };
}

const rows: Row[] = [];
const show = (row: Row): void => {
  rows.push(row);
  const ratio = row.ratio_to_passthrough === null ? '' : row.ratio_to_passthrough.toFixed(2);
  console.log(
    [
      row.name.padEnd(46),
      String(row.concurrency).padStart(4),
      String(row.p50_us).padStart(10),
      String(row.p99_us).padStart(10),
      String(row.per_second).padStart(9),
      ratio.padStart(8),
      row.cpu_us_per_call === undefined ? '' : `  CPU ${row.cpu_us_per_call} µs a call`,
      row.ratio === undefined ? '' : `  ${row.ratio.toFixed(2)} of "${row.compared_to}"`,
    ].join(' '),
  );
};

try {
  console.log(`Node ${process.version}, ${cpus().length} cores, ${seconds} s a row\n`);
  console.log(
    [
      'row'.padEnd(46),
      'conc'.padStart(4),
      'p50 µs'.padStart(10),
      'p99 µs'.padStart(10),
      'per s'.padStart(9),
      '÷ (b)'.padStart(8),
    ].join(' '),
  );
  show(await evaluate());
  await partRows(seconds, show);
  const legacy = await server('legacy');
  const [bare, passthrough, governed] = await Promise.all([
    server('bare'),
    server('passthrough', legacy.url),
    governedServer(legacy.url),
  ]);
  // The warm-up lasts until V8 has optimised the code, which depends on the number of calls and not on time.
  for (const { url } of [bare, passthrough]) await load('warm-up', url, 32, {}, { amount: WARM_UP });
  await load('warm-up', governed.url, 32, await conversation(governed.url, governed.keys.bench), { amount: WARM_UP });
  const duration = seconds;
  for (const concurrency of [1, 32]) {
    show(await load('(a) bare Koa', bare.url, concurrency, {}, { duration }));
    const pairs: { baseline: Row; row: Row; ratio: number }[] = [];
    // Both are measured alternately, so that a slow minute of the machine affects both; the median round counts.
    for (let i = 0; i < rounds; i++) {
      const baseline = await load('(b) Koa -> undici, ungoverned', passthrough.url, concurrency, {}, { duration });
      const headers = await conversation(governed.url, governed.keys.bench);
      const row = await load('(c) Sallyport, governed', governed.url, concurrency, headers, { duration });
      pairs.push({ baseline, row, ratio: Math.round((row.per_second / baseline.per_second) * 1000) / 1000 });
    }
    const median = pairs.sort((x, y) => x.ratio - y.ratio)[Math.floor(rounds / 2)];
    if (!median) throw new Error('--rounds must be at least 1');
    show({ ...median.baseline, ratio_to_passthrough: 1 });
    show({ ...median.row, ratio_to_passthrough: median.ratio });
  }
  const median = <T>(list: T[], of: (item: T) => number): T => {
    const sorted = [...list].sort((x, y) => of(x) - of(y));
    return sorted[Math.floor(sorted.length / 2)] as T;
  };
  await redisRows({
    legacyUrl: legacy.url,
    rounds,
    sessions: Number(options.sessions),
    history: Number(options.history),
    warmUp: WARM_UP,
    passthrough: () => load('(b) Koa -> undici, ungoverned', passthrough.url, 32, {}, { duration }),
    run: async (name, url, key, concurrency, length = { duration }) =>
      load(name, url, concurrency, await conversation(url, key), length),
    median,
    show,
  });
  if (options.json) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
} finally {
  stopAll();
}
