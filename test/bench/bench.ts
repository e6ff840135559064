// `npm run bench`: what governing a call costs, as a ratio against the same call without Sallyport,
// measured in the same run with the same load client. Every server has a process of its own.
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alertRows, alertShare } from './alerts.ts';
import { auditRows, chainShare } from './audit.ts';
import { callRows, rotationRows } from './calls.ts';
import { listRows } from './listing.ts';
import { conversation, load } from './load.ts';
import { memoryRows } from './memory.ts';
import { partRows } from './parts.ts';
import { policyRows, recordedRow } from './policy.ts';
import { governedServer, server, stopAll } from './processes.ts';
import { redisRows, startRedisOf } from './redis.ts';
import { replayRows } from './replay.ts';
import { against, HEADING, lineOf, type Row } from './row.ts';

const GROUPS = [
  'policy',
  'parts',
  'audit',
  'alerts',
  'replay',
  'calls',
  'rotation',
  'list',
  'memory',
  'redis',
] as const;
type Group = (typeof GROUPS)[number];

const USAGE = `Usage: npm run bench -- [options]
  --only GROUPS     some of ${GROUPS.join(', ')}; separated by commas
  --seconds N       how long a row is measured (4)
  --rounds N        how often what is compared is measured alternately (3)
  --warm-up CALLS   calls before anything is measured (8000)
  --sessions N      sessions in the crowded store, and the most of the rows on memory (100000)
  --history CALLS   calls that one client has made before (1000000)
  --json FILE       writes the rows
  --against FILE    prints how each row differs from the rows of an earlier run
  --most-cpu RATIO  exits 1 when a governed call in memory, 32 at a time, costs more than so many times the CPU of the
                    pass-through
`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: GROUPS.join() },
    json: { type: 'string' },
    against: { type: 'string' },
    'most-cpu': { type: 'string' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '8000' },
    sessions: { type: 'string', default: '100000' },
    history: { type: 'string', default: '1000000' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (options.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const only = new Set(options.only.split(','));
for (const group of only)
  if (!GROUPS.includes(group as Group)) {
    process.stderr.write(`--only: there is no group "${group}"\n${USAGE}`);
    process.exit(2);
  }
const measures = (group: Group): boolean => only.has(group);
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const warmUp = Number(options['warm-up']);
const length = { duration: seconds };
const changeOf = against(options.against);

const rows: Row[] = [];
const show = (one: Row): void => {
  rows.push(one);
  console.log(lineOf(one, changeOf(one)));
};

async function measure(): Promise<void> {
  if (measures('policy')) await policyRows(seconds, show);
  if (measures('parts')) await partRows(seconds, show);
  if (measures('audit')) await auditRows(seconds, rounds, show);
  if (measures('alerts')) await alertRows(seconds, rounds, show);
  if (measures('replay')) await replayRows(seconds, rounds, show);
  if (measures('list')) await listRows(rounds, show);
  if (measures('memory')) await memoryRows(Number(options.sessions), seconds * 10, show);
  if (!(measures('calls') || measures('rotation') || measures('redis'))) return;

  const legacyUrl = (await server('legacy')).url;
  const passthrough = await server('passthrough', legacyUrl);
  // The warm-up lasts until V8 has optimised the code, which depends on the number of calls and not on time.
  const warm = async ({ url, keys }: { url: string; keys?: Record<string, string> }) =>
    load('warm-up', url, 32, keys ? await conversation(url, keys.bench) : {}, { amount: warmUp });
  await warm(passthrough);
  const governed = await governedServer({ legacyUrl });
  await warm(governed);
  if (measures('calls')) {
    const bare = await server('bare');
    await warm(bare);
    for (const concurrency of [1, 32]) {
      show(await load('(a) bare Koa', bare.url, concurrency, {}, length));
      await callRows({ name: '(c) Sallyport, governed', passthrough, governed, rounds, length }, concurrency, show);
    }
    show(recordedRow(join(governed.dir, 'decisions.jsonl')));
    const share = chainShare(rows);
    if (share) show(share);
    const told = alertShare(rows);
    if (told) show(told);
  }
  if (measures('calls')) {
    const redis = await startRedisOf('the rows of calls on Redis');
    if (redis) {
      const onRedis = await governedServer({ legacyUrl, redisUrl: redis.url });
      await warm(onRedis);
      for (const concurrency of [1, 32])
        await callRows(
          { name: '(d) Sallyport on Redis, governed', passthrough, governed: onRedis, rounds, length },
          concurrency,
          show,
        );
      await redis.stop();
    }
  }
  if (measures('rotation')) {
    const each = 20;
    const rotating = await governedServer({ legacyUrl, tokenUses: each });
    await load('warm-up', rotating.url, 16, await conversation(rotating.url, rotating.keys.bench), {
      amount: warmUp / 4,
    });
    await rotationRows({ governed, rotating, each, rounds, length }, show);
  }
  if (measures('redis'))
    await redisRows({
      legacyUrl,
      rounds,
      sessions: Number(options.sessions),
      history: Number(options.history),
      warmUp,
      run: async (name, url, key, concurrency, of = length) =>
        load(name, url, concurrency, await conversation(url, key), of),
      show,
    });
}

/** The gate of CI. The ratio holds still on a machine that others use, and the limit leaves room for the rest. */
function refuseTooMuch(most: string | undefined): void {
  if (most === undefined) return;
  const one = rows.find(({ name, concurrency }) => name.startsWith('(c)') && concurrency === 32);
  const ratio = one?.cpu_ratio_to_passthrough;
  if (ratio !== undefined && ratio <= Number(most)) return;
  process.stderr.write(
    `a governed call costs ${ratio ?? 'an unknown number of'} times the CPU of the pass-through; --most-cpu is ${most}\n`,
  );
  process.exitCode = 1;
}

try {
  console.log(`Node ${process.version}, ${cpus().length} cores, ${seconds} s a row\n`);
  console.log(HEADING);
  await measure();
  if (options.json) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
  refuseTooMuch(options['most-cpu']);
} finally {
  stopAll();
}
